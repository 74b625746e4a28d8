package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/smithy-go"
)

func TestPlain(t *testing.T) {
	said := &smithy.OperationError{ServiceID: "SQS", OperationName: "GetQueueUrl", Err: fmt.Errorf("https response error StatusCode: 400, %w",
		&smithy.GenericAPIError{Code: "QueueDoesNotExist", Message: "The specified queue does not exist."})}
	other := errors.New("other")
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("queue q: %w", said), "queue q: QueueDoesNotExist: The specified queue does not exist."},
		{&smithy.OperationError{ServiceID: "SQS", OperationName: "ListQueues", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}, "no platform answers at "},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host"}}, "no platform answers at "},
		{other, "other"},
	} {
		if got := plain(c.err).Error(); !strings.HasPrefix(got, c.want) {
			t.Errorf("%v: %q, not %q", c.err, got, c.want)
		}
	}
}
