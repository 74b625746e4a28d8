package sts

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/dhowhq/dhow/internal/awsapi"
)

func TestGetCallerIdentity(t *testing.T) {
	for _, c := range []struct{ principal, user string }{
		{"arn:aws:iam::111122223333:root", "111122223333"},
		{"arn:aws:iam::111122223333:user/ops/anna", "anna"},
		{"arn:dhow:node:::n1", "n1"},
	} {
		ctx := awsapi.WithCall(context.Background(), &awsapi.Call{Account: "111122223333", Principal: c.principal})
		out, err := New().GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			t.Fatal(err)
		}
		if *out.Account != "111122223333" || *out.Arn != c.principal || *out.UserId != c.user {
			t.Errorf("%s: %s %s %s", c.principal, *out.Account, *out.Arn, *out.UserId)
		}
	}
}
