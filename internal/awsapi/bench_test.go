package awsapi_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/internal/awsapi"
)

// clusters answers DescribeClusters with a constant.
func clusters() *ecsAPI {
	out := &ecs.DescribeClustersOutput{Clusters: []types.Cluster{{
		ClusterName: aws.String("default"), ClusterArn: aws.String("arn:aws:ecs:us-east-1:000000000000:cluster/default"),
		Status: aws.String("ACTIVE"), RunningTasksCount: 12, ActiveServicesCount: 3,
		Settings: []types.ClusterSetting{{Name: types.ClusterSettingNameContainerInsights, Value: aws.String("disabled")}},
	}}}
	return &ecsAPI{describe: func(context.Context, *ecs.DescribeClustersInput) (*ecs.DescribeClustersOutput, error) {
		return out, nil
	}}
}

const describeBody = `{"clusters":["default"],"include":["SETTINGS","STATISTICS"]}`

// describeRequest is what an SDK sends, signature included.
func describeRequest() *http.Request {
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("X-Amz-Target", "AmazonEC2ContainerServiceV20141113.DescribeClusters")
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/ecs/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=0")
	r.ContentLength = int64(len(describeBody))
	return r
}

// sink is a ResponseWriter that allocates nothing.
type sink struct {
	h      http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

func caller(t testing.TB) func() {
	s, err := awsapi.New(awsapi.Config{}, awsapi.Service{Model: "ecs", API: clusters()})
	if err != nil {
		t.Fatal(err)
	}
	r := describeRequest()
	body := bytes.NewReader([]byte(describeBody))
	w := &sink{h: http.Header{}}
	return func() {
		body.Reset([]byte(describeBody))
		r.Body = io.NopCloser(body)
		clear(w.h)
		s.ServeHTTP(w, r)
		if w.status != 200 {
			t.Fatalf("status %d", w.status)
		}
	}
}

// maxAllocs is what one DescribeClusters may allocate, everything between
// net/http and back: the strings and lists of the input, the
// call, the reply's headers and what reflect needs.
const maxAllocs = 24

func TestAllocations(t *testing.T) {
	call := caller(t)
	call() // plans are made once
	if n := testing.AllocsPerRun(200, call); n > maxAllocs {
		t.Errorf("%v allocations per call, want at most %d", n, maxAllocs)
	}
}

func BenchmarkDescribeClusters(b *testing.B) {
	call := caller(b)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}
