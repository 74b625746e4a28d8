package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
)

const (
	callTimeout = 5 * time.Second // of an invocation, as on AWS
	maxAnswer   = 1 << 20         // bytes of an answer that are read
	maxRedirect = 3
)

// errForbidden is the refusal of an address that an invocation must not reach.
var errForbidden = errors.New("link-local addresses are not called: metadata and credentials are there")

// forbidden says whether an address must not be called: where machines and tasks
// find metadata and credentials.
func forbidden(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || a == netip.MustParseAddr("fd00:ec2::254") || a == netip.MustParseAddr("fd00:ec2::23")
}

// guarded makes calls, but not to forbidden addresses, whatever names them.
func guarded() http.RoundTripper {
	d := &net.Dialer{Timeout: callTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if forbidden(ap.Addr()) {
			return fmt.Errorf("%s: %w", ap.Addr(), errForbidden)
		}
		return nil
	}}
	return &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: callTimeout,
		ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10}
}

// roundTrip makes a request and reads its answer, of which not more than
// maxAnswer is taken. A redirect is followed within its host, so that what
// authorizes the request goes nowhere else.
func (e *Engine) roundTrip(req *http.Request) (*http.Response, []byte, error) {
	c := http.Client{Transport: e.cfg.HTTP, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		if len(via) > maxRedirect {
			return errors.New("too many redirects")
		}
		if next.URL.Host != via[0].URL.Host || next.URL.Scheme != via[0].URL.Scheme {
			return errRedirect
		}
		return nil
	}}
	resp, err := c.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errAnswer
	}
	return resp, body, err
}

var (
	errRedirect = errors.New("the answer redirects to another host, which is not followed")
	errAnswer   = fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
)

// call makes an invocation and says how it ended, in delivery's terms.
func (e *Engine) call(req *http.Request) error {
	ctx, cancel := context.WithTimeout(req.Context(), callTimeout)
	defer cancel()
	resp, _, err := e.roundTrip(req.WithContext(ctx))
	switch {
	case errors.Is(err, errForbidden), errors.Is(err, errRedirect), errors.Is(err, errAnswer):
		return &delivery.Error{Code: CodeClientError, Permanent: true, Err: plain(err)}
	case errors.Is(err, context.DeadlineExceeded):
		return &delivery.Error{Code: CodeTimeout, Err: plain(err)}
	case err != nil:
		return &delivery.Error{Code: CodeRemote, Err: plain(err)}
	}
	return status(resp)
}

// plain is an error without the URL that net/http puts ahead of it: queries may
// hold secrets.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// status judges an answer: 401, 407, 409, 429 and 5xx are tried again (user
// guide, "API destinations").
func status(resp *http.Response) error {
	if resp.StatusCode < 300 {
		return nil
	}
	err := &delivery.Error{Code: CodeRemote, Err: fmt.Errorf("the endpoint answered %s", resp.Status)}
	switch c := resp.StatusCode; {
	case c == http.StatusTooManyRequests:
		err.Code = CodeThrottling
	case c == http.StatusUnauthorized, c == http.StatusProxyAuthRequired, c == http.StatusConflict, c >= 500:
	default:
		err.Code, err.Permanent = CodeClientError, true
	}
	err.After = retryAfter(resp.Header.Get("Retry-After"))
	return err
}

func retryAfter(h string) time.Duration {
	if n, err := strconv.Atoi(h); err == nil && n > 0 {
		return min(time.Duration(n)*time.Second, 24*time.Hour)
	}
	if t, err := http.ParseTime(h); err == nil {
		return min(max(time.Until(t), 0), 24*time.Hour)
	}
	return 0
}

// pacers hold invocations to the rates of their destinations, whatever rules
// they come from.
type pacers struct {
	mu   sync.Mutex
	next map[string]time.Time // by ARN: when the next may begin
}

// wait returns when an invocation may begin.
func (p *pacers) wait(ctx context.Context, arn string, perSecond float64) error {
	p.mu.Lock()
	now := time.Now()
	if p.next == nil {
		p.next = map[string]time.Time{}
	}
	at := p.next[arn]
	if at.Before(now) {
		at = now
	}
	p.next[arn] = at.Add(time.Duration(float64(time.Second) / perSecond))
	if len(p.next) > 1000 {
		for k, t := range p.next {
			if t.Before(now) {
				delete(p.next, k)
			}
		}
	}
	p.mu.Unlock()
	if d := time.Until(at); d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// now is the time of an event that is put on a bus.
func now() time.Time { return time.Now().UTC() }
