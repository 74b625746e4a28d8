package awsapi_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/internal/awsapi"
)

// FuzzServe: no request makes the server fail, whatever it says.
func FuzzServe(f *testing.F) {
	s, err := awsapi.New(awsapi.Config{MaxBody: 1 << 16}, append(everywhere(), awsapi.Service{Model: "s3", API: &objects{}})...)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("POST", "/", "AmazonEC2ContainerServiceV20141113.RunTask", "application/x-amz-json-1.1", "", "", []byte(`{"taskDefinition":"x"}`))
	f.Add("POST", "/", "", "application/x-www-form-urlencoded", signed("elasticloadbalancing"), "", []byte("Action=CreateRule&Priority=1"))
	f.Add("POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", "", "application/cbor", "", "", []byte("\xa0"))
	f.Add("POST", "/2015-03-31/functions/a%2Fb/aliases", "", "", signed("lambda"), "", []byte(`{"Name":"n","FunctionVersion":"1"}`))
	f.Add("POST", "/2013-04-01/hostedzone/Z/rrset/", "", "", signed("route53"), "gzip", []byte("<a/>"))
	f.Add("PUT", "/b/k?x-id=PutObject", "", "", signed("s3"), "aws-chunked", []byte("3\r\nabc\r\n0\r\n\r\n"))
	f.Add("GET", "/?Action=x&X-Amz-Credential=a%2Fb", "", "", "AWS4-X Credential=////aws4_request", "", []byte(nil))
	f.Fuzz(func(t *testing.T, method, path, target, contentType, auth, encoding string, body []byte) {
		u, err := url.ParseRequestURI(path)
		if err != nil || u.Host != "" {
			return
		}
		r := &http.Request{Method: method, URL: u, Host: "localhost", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Body: http.NoBody, ContentLength: int64(len(body)), Header: http.Header{}}
		if len(body) > 0 {
			r.Body = reader{bytes.NewReader(body)}
		}
		for k, v := range map[string]string{"X-Amz-Target": target, "Content-Type": contentType, "Authorization": auth, "Content-Encoding": encoding} {
			if v != "" {
				r.Header.Set(k, v)
			}
		}
		s.Match(r)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code == 500 || w.Code < 200 || requestIDs(w.Header()) != 1 {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
	})
}

type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }

// requestIDs counts the request ids of an answer, whatever the case of the
// header's letters.
func requestIDs(h http.Header) (n int) {
	for name, values := range h {
		if strings.EqualFold(name, "x-amzn-RequestId") || strings.EqualFold(name, "x-amz-request-id") {
			n += len(values)
		}
	}
	return n
}
