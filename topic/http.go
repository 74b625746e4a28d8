package topic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
)

const (
	// httpTimeout is how long an endpoint may take to answer, as on AWS.
	httpTimeout = 15 * time.Second
	// maxAnswer is how many bytes of an answer are read: nothing in it counts,
	// and reading lets the connection be used again.
	maxAnswer = 64 << 10

	userAgent = "Amazon Simple Notification Service Agent"
)

var errForbidden = errors.New("link-local addresses are not called: metadata and credentials are there")

// forbidden says whether an address must not be called: where machines and tasks
// find metadata and credentials.
func forbidden(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || a == netip.MustParseAddr("fd00:ec2::254") || a == netip.MustParseAddr("fd00:ec2::23")
}

// guarded makes calls, but not to forbidden addresses, whatever names them.
func guarded() http.RoundTripper {
	d := &net.Dialer{Timeout: 5 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if forbidden(ap.Addr()) {
			return fmt.Errorf("%s: %w", ap.Addr(), errForbidden)
		}
		return nil
	}}
	return &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10, DisableCompression: true}
}

// answered is how a call ended.
type answered struct {
	status int
	body   string // its beginning
}

// shownAnswer is how much of an answer the status log shows.
const shownAnswer = 1 << 10

// post sends a body and judges the answer: 429 and 5xx, and no answer at all,
// are tried again, other failures are not ("Amazon SNS message delivery
// retries"). Redirects are not followed.
func (e *Engine) post(ctx context.Context, target string, body []byte, h http.Header) (a answered, err error) {
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return a, &delivery.Error{Permanent: true, Err: err}
	}
	req.Header = h
	c := http.Client{Transport: e.cfg.HTTP, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	if err != nil {
		return a, &delivery.Error{Permanent: errors.Is(err, errForbidden), Err: bare(err)}
	}
	defer resp.Body.Close()
	got, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // of an answer that breaks off the status counts all the same
	a = answered{resp.StatusCode, string(got[:min(len(got), shownAnswer)])}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return a, nil
	}
	again := resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500
	return a, &delivery.Error{Permanent: !again, Err: fmt.Errorf("the endpoint answered %s", resp.Status)}
}

// bare is an error without the URL that net/http puts ahead of it: it may hold
// a password.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// notify sends a letter to an HTTP endpoint.
func (e *Engine) notify(ctx context.Context, l *letter, p HTTPPolicy) (answered, error) {
	h := http.Header{}
	h.Set("User-Agent", userAgent)
	h.Set("Accept-Encoding", "gzip,deflate")
	h.Set("X-Amz-Sns-Message-Type", l.kind())
	h.Set("X-Amz-Sns-Message-Id", l.ID)
	h.Set("X-Amz-Sns-Topic-Arn", l.topicARN)
	h.Set("Content-Type", defaultType)
	if p.ContentType != "" {
		h.Set("Content-Type", p.ContentType)
	}
	body := []byte(l.text)
	if l.kind() == notification {
		h.Set("X-Amz-Sns-Subscription-Arn", l.sub.ARN())
	}
	if l.sub.Raw && l.kind() == notification {
		h.Set("X-Amz-Sns-Rawdelivery", "true")
	} else {
		body = l.document()
	}
	return e.post(ctx, l.sub.Endpoint, body, h)
}
