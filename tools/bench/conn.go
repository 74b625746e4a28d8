package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
)

// conn is a connection that says prepared requests as they are: a client on the
// machine that it measures must cost little itself. One goroutine uses it.
type conn struct {
	ctx     context.Context // ends what waits for an answer
	address string
	c       net.Conn
	r       *bufio.Reader
	body    []byte
}

// dial returns connections, which are made when they are first used.
func dial(ctx context.Context, url string, n int) []*conn {
	all := make([]*conn, n)
	for i := range all {
		all[i] = &conn{ctx: ctx, address: strings.TrimPrefix(url, "http://")}
	}
	return all
}

func hangUp(all []*conn) {
	for _, c := range all {
		c.close()
	}
}

func (c *conn) close() {
	if c.c != nil {
		c.c.Close()
		c.c = nil
	}
}

// do sends a request and returns the answer's body, which is good until the next
// call. An answer that is no success is an error.
func (c *conn) do(request []byte) ([]byte, error) {
	if c.c == nil {
		var d net.Dialer
		var err error
		if c.c, err = d.DialContext(c.ctx, "tcp", c.address); err != nil {
			return nil, err
		}
		c.r = bufio.NewReader(c.c)
		made := c.c
		context.AfterFunc(c.ctx, func() { made.Close() })
	}
	if _, err := c.c.Write(request); err != nil {
		return nil, err
	}
	h, err := readHead(c.r)
	if err != nil {
		return nil, err
	}
	if cap(c.body) < h.length {
		c.body = make([]byte, h.length)
	}
	c.body = c.body[:h.length]
	if _, err := io.ReadFull(c.r, c.body); err != nil {
		return nil, err
	}
	if h.closes {
		c.close()
	}
	if h.status != 200 {
		return nil, fmt.Errorf("answer %d: %s", h.status, c.body)
	}
	return c.body, nil
}

// head is what counts of an answer's head.
type head struct {
	status, length int
	closes         bool
}

func readHead(r *bufio.Reader) (head, error) {
	first, err := r.ReadSlice('\n')
	if err != nil {
		return head{}, err
	}
	proto, rest, _ := bytes.Cut(first, []byte(" "))
	h := head{length: -1, closes: string(proto) == "HTTP/1.0"}
	if len(rest) < 3 {
		return head{}, fmt.Errorf("no answer of HTTP: %q", first)
	}
	if h.status, err = strconv.Atoi(string(rest[:3])); err != nil {
		return head{}, fmt.Errorf("no answer of HTTP: %q", first)
	}
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return head{}, err
		}
		name, value, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case len(name) == 0 && h.length < 0:
			return head{}, errors.New("an answer without Content-Length")
		case len(name) == 0:
			return h, nil
		case bytes.EqualFold(name, []byte("Content-Length")):
			if h.length, err = strconv.Atoi(string(value)); err != nil {
				return head{}, err
			}
		case bytes.EqualFold(name, []byte("Connection")):
			h.closes = h.closes || bytes.EqualFold(value, []byte("close"))
		}
	}
}

// Prefixes of X-Amz-Target, and the names that services sign with.
var (
	sqsAPI     = service{"AmazonSQS", "sqs"}
	kinesisAPI = service{"Kinesis_20131202", "kinesis"}
	eventsAPI  = service{"AWSEvents", "events"}
	snsAPI     = service{"", "sns"} // of the query protocol
)

type service struct{ target, signs string }

// headers are those that the AWS CLI sends with an operation.
func (s service) headers(op string) (all [][2]string) {
	for _, h := range call.headers {
		switch h[0] {
		case "X-Amz-Target":
			if h[1] = s.target + "." + op; s.target == "" {
				continue
			}
		case "Content-Type":
			if s.target == "" {
				h[1] = "application/x-www-form-urlencoded; charset=utf-8"
			}
		}
		h[1] = strings.ReplaceAll(h[1], "/ecs/", "/"+s.signs+"/")
		all = append(all, h)
	}
	return all
}

// head is the head of a call up to the length of its body.
func (s service) head(op string) string {
	var b strings.Builder
	b.WriteString("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
	for _, h := range s.headers(op) {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("Content-Length: ")
	return b.String()
}

// request is a call as it goes over a connection.
func (s service) request(op, body string) []byte {
	return fmt.Appendf(nil, "%s%d\r\n\r\n%s", s.head(op), len(body), body)
}

// script is calls as wrk's script, which makes them in turn.
func (s service) script(op string, bodies []string) string {
	var b strings.Builder
	b.WriteString("wrk.method = 'POST'\n")
	for _, h := range s.headers(op) {
		fmt.Fprintf(&b, "wrk.headers[%q] = %q\n", h[0], h[1])
	}
	b.WriteString("local bodies, calls, n = {\n")
	for _, body := range bodies {
		fmt.Fprintf(&b, "[==[%s]==],\n", body)
	}
	b.WriteString("}, {}, 0\nfunction init() for i, body in ipairs(bodies) do calls[i] = wrk.format(nil, nil, nil, body) end end\n")
	b.WriteString("function request() n = n % #calls + 1; return calls[n] end\n")
	return b.String()
}

// together runs f so many times at once and returns their errors.
func together(n int, f func(i int) error) error {
	var all sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		all.Go(func() { errs[i] = f(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}
