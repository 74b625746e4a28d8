package awsapi_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/dhowhq/dhow/internal/awsapi"
)

func squeeze(t testing.TB, s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, s); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGzip(t *testing.T) {
	got := 0
	_, url := start(t, awsapi.Config{}, awsapi.Service{Model: "cloudwatch", API: awsapi.Handlers{
		"PutMetricData": func(_ context.Context, in *cloudwatch.PutMetricDataInput) (*cloudwatch.PutMetricDataOutput, error) {
			got = len(in.MetricData)
			return &cloudwatch.PutMetricDataOutput{}, nil
		}}}, awsapi.Service{Model: "ecs", API: clusters()})
	c := cloudwatch.New(cloudwatch.Options{BaseEndpoint: &url, Region: "r", Credentials: creds, RequestMinCompressSizeBytes: 1})
	data := make([]cwtypes.MetricDatum, 500)
	for i := range data {
		data[i] = cwtypes.MetricDatum{MetricName: aws.String("m"), Value: aws.Float64(float64(i))}
	}
	if _, err := c.PutMetricData(context.Background(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("n"), MetricData: data}); err != nil || got != 500 {
		t.Errorf("%d of 500 came: %v", got, err)
	}
	zip := func(body, encoding string) request {
		q := ecsCall("DescribeClusters", body)
		q.header["Content-Encoding"] = encoding
		return q
	}
	for _, c := range []struct {
		name   string
		req    request
		status int
	}{
		{"good", zip(squeeze(t, "{}"), "gzip"), 200},
		{"twice", zip(squeeze(t, squeeze(t, "{}")), "gzip, gzip"), 200},
		{"not gzip", zip("{}", "gzip"), 400},
		{"cut", zip(squeeze(t, strings.Repeat(" ", 1000)+"{}")[:20], "gzip"), 400},
		{"a bomb", zip(squeeze(t, strings.Repeat(" ", 64<<20)), "gzip"), 413},
		{"unknown", zip("{}", "br"), 415},
	} {
		if status, body, _ := c.req.send(t, url); status != c.status {
			t.Errorf("%s: %d %s", c.name, status, body)
		}
	}
}

// objects is a bucket of one object.
type objects struct{ data []byte }

func (o *objects) PutObject(_ context.Context, in *s3.PutObjectInput) (*s3.PutObjectOutput, error) {
	data, err := io.ReadAll(in.Body)
	if err != nil {
		return nil, err
	}
	o.data = data
	return &s3.PutObjectOutput{ETag: aws.String(`"x"`)}, nil
}

func (o *objects) GetObject(_ context.Context, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	if *in.Key == "none/of these" {
		return nil, &awsapi.Error{Code: "NoSuchKey", Message: "The specified key does not exist."}
	}
	data := o.data
	if *in.Key == "cut" {
		data = data[:len(data)/2]
	}
	return &s3.GetObjectOutput{Body: io.NopCloser(io.MultiReader(bytes.NewReader(data), failing{*in.Key == "cut"})),
		ContentLength: aws.Int64(int64(len(o.data))), Metadata: map[string]string{"a": "b"}}, nil
}

type failing struct{ now bool }

func (f failing) Read([]byte) (int, error) {
	if f.now {
		return 0, errors.New("disk")
	}
	return 0, io.EOF
}

// TestObjects streams bodies both ways, with the SDK's trailing checksums.
func TestObjects(t *testing.T) {
	o := &objects{}
	_, url := start(t, awsapi.Config{MaxBody: 10}, awsapi.Service{Model: "s3", API: o})
	c := s3.New(s3.Options{BaseEndpoint: &url, Region: "r", Credentials: creds, UsePathStyle: true})
	want := strings.Repeat("0123456789", 100_000)
	put := &s3.PutObjectInput{Bucket: aws.String("b"), Key: aws.String("a/k ey"), Body: strings.NewReader(want)}
	if _, err := c.PutObject(context.Background(), put); err != nil || string(o.data) != want {
		t.Fatalf("PutObject: %d bytes, %v", len(o.data), err)
	}
	got, err := c.GetObject(context.Background(), &s3.GetObjectInput{Bucket: aws.String("b"), Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(got.Body)
	if err != nil || string(data) != want || got.Metadata["a"] != "b" {
		t.Errorf("GetObject: %d bytes, %v, %v", len(data), got.Metadata, err)
	}
	got, err = c.GetObject(context.Background(), &s3.GetObjectInput{Bucket: aws.String("b"), Key: aws.String("cut")})
	if err == nil {
		data, err = io.ReadAll(got.Body)
	}
	if err == nil {
		t.Errorf("half an object of %d bytes passed for a whole one", len(data))
	}
	var api interface{ ErrorCode() string }
	_, err = c.GetObject(context.Background(), &s3.GetObjectInput{Bucket: aws.String("b"), Key: aws.String("none/of these")})
	if !errors.As(err, &api) || api.ErrorCode() != "NoSuchKey" {
		t.Errorf("GetObject of nothing: %v", err)
	}
}

func TestChunks(t *testing.T) {
	o := &objects{}
	_, url := start(t, awsapi.Config{}, awsapi.Service{Model: "s3", API: o})
	sum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte("hello world"))))
	put := func(body, length, trailer string) request {
		h := map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/r/s3/aws4_request, X",
			"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding": "aws-chunked"}
		if length != "" {
			h["X-Amz-Decoded-Content-Length"] = length
		}
		if trailer != "" {
			h["X-Amz-Trailer"] = trailer
		}
		return request{"PUT", "/b/k", body, h}
	}
	for _, c := range []struct {
		name string
		req  request
		want string
	}{
		{"unsigned", put("5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:"+sum+"\r\n\r\n", "11", "x-amz-checksum-crc32"), ""},
		{"signed", put("b;chunk-signature=ab\r\nhello world\r\n0;chunk-signature=cd\r\n\r\n", "11", ""), ""},
		{"no end", put("b\r\nhello world\r\n", "11", ""), "InvalidChunkSizeError"},
		{"cut", put("ff\r\nhello world", "255", ""), "IncompleteBody"},
		{"no size", put("hello world", "11", ""), "InvalidChunkSizeError"},
		{"negative", put("-1\r\n\r\n", "", ""), "InvalidChunkSizeError"},
		{"long size", put(strings.Repeat("0", 100_000)+"\r\n", "", ""), "InvalidChunkSizeError"},
		{"wrong length", put("b\r\nhello world\r\n0\r\n\r\n", "12", ""), "IncompleteBody"},
		{"wrong checksum", put("5\r\nhellO\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:"+sum+"\r\n\r\n", "11", "x-amz-checksum-crc32"), "BadDigest"},
	} {
		o.data = nil
		status, body, _ := c.req.send(t, url)
		if c.want == "" && (status != 200 || string(o.data) != "hello world") || c.want != "" && (status != 400 || !strings.Contains(body, c.want)) {
			t.Errorf("%s: %d %s, object %q", c.name, status, body, o.data)
		}
	}
}

// TestContinue: a client that waits for 100 Continue gets it, and a refusal
// instead where the body would be too large.
func TestContinue(t *testing.T) {
	_, url := start(t, awsapi.Config{MaxBody: 1000}, awsapi.Service{Model: "ecs", API: clusters()})
	for _, c := range []struct{ size, status int }{{500, 200}, {2000, 413}} {
		q := ecsCall("DescribeClusters", "{}"+strings.Repeat(" ", c.size))
		q.header["Expect"] = "100-continue"
		if status, body, _ := q.send(t, url); status != c.status {
			t.Errorf("%d bytes: %d %s", c.size, status, body)
		}
	}
}

// auth records what an Authorizer sees.
type auth struct {
	bodies []string
	calls  []string
	err    error
}

func (a *auth) Authorize(r *http.Request, c *awsapi.Call) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	a.bodies = append(a.bodies, string(b))
	a.calls = append(a.calls, fmt.Sprintf("%s.%s by %s", c.Service, c.Operation, c.AccessKey))
	c.Account, c.Region, c.Principal = "999999999999", "mars", "arn:aws:iam::999999999999:user/u"
	return a.err
}

func TestAuthorizer(t *testing.T) {
	a := &auth{}
	var saw awsapi.Call
	var name string
	api := &ecsAPI{describe: func(ctx context.Context, in *ecs.DescribeClustersInput) (*ecs.DescribeClustersOutput, error) {
		saw, name = *awsapi.CallFrom(ctx), in.Clusters[0]
		return &ecs.DescribeClustersOutput{}, nil
	}}
	s, err := awsapi.New(awsapi.Config{Auth: a}, awsapi.Service{Model: "ecs", API: api})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	defer web.Close()
	q := ecsCall("DescribeClusters", squeeze(t, `{"clusters":["c"]}`))
	q.header["Content-Encoding"] = "gzip"
	q.header["Authorization"] = "AWS4-HMAC-SHA256 Credential=AKIDX/20260101/r/ecs/aws4_request, X"
	if status, body, _ := q.send(t, web.URL); status != 200 {
		t.Fatal(status, body)
	}
	if len(a.bodies) != 1 || a.bodies[0] != q.body || a.calls[0] != "ecs.DescribeClusters by AKIDX" {
		t.Errorf("the Authorizer saw %q of %q", a.bodies, a.calls)
	}
	if name != "c" || saw.Account != "999999999999" || saw.Region != "mars" || !strings.HasSuffix(saw.Principal, "user/u") {
		t.Errorf("the handler saw %+v", saw)
	}
	ecsCall("ListClusters", "{}").send(t, web.URL) // known, not served: asked as well
	ecsCall("Nonsense", "{}").send(t, web.URL)
	request{"GET", "/", "", nil}.send(t, web.URL)
	if len(a.calls) != 4 || a.calls[1] != "ecs.ListClusters by " || a.calls[2] != "ecs. by " || a.calls[3] != ". by " {
		t.Errorf("it was asked for %q", a.calls)
	}
	a.err = &awsapi.Error{Code: "AccessDeniedException", Message: "User is not authorized", Status: 400}
	for _, q := range []request{ecsCall("DescribeClusters", `{"clusters":["d"]}`), ecsCall("Nonsense", "{}")} {
		if status, body, _ := q.send(t, web.URL); status != 400 || !strings.Contains(body, "AccessDenied") || name != "c" {
			t.Errorf("%d %s, handler called with %s", status, body, name)
		}
	}
}
