package lb

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// probe makes one check of the target at address in network, on a connection
// of its own as AWS does.
func (e *Engine) probe(network, address string, c Check, matches func(int) bool) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(c.Timeout)*time.Second)
	defer cancel()
	conn, err := e.dial(ctx, network, address, c.Protocol == "HTTPS")
	if err != nil {
		return failureOf(err)
	}
	defer conn.Close()
	if c.Protocol == "TCP" {
		return outcome{ok: true}
	}
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	head := "GET " + c.Path + " HTTP/1.1\r\nHost: " + address +
		"\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n"
	if _, err := io.WriteString(conn, head); err != nil {
		return failureOf(err)
	}
	r := bufio.NewReader(io.LimitReader(conn, maxHead))
	for {
		resp, err := http.ReadResponse(r, nil)
		switch {
		case err != nil:
			return failureOf(err)
		case resp.StatusCode >= 100 && resp.StatusCode < 200:
			continue
		case !matches(resp.StatusCode):
			return outcome{why: wrongCode, code: resp.StatusCode}
		}
		return outcome{ok: true}
	}
}

func failureOf(err error) outcome {
	if isTimeout(err) {
		return outcome{why: timedOut}
	}
	return outcome{why: failed}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &n) && n.Timeout()
}

// dial connects to a target. As on AWS, certificates of targets are not
// checked.
func (e *Engine) dial(ctx context.Context, network, address string, secure bool) (net.Conn, error) {
	c, err := e.cfg.Dial(ctx, network, address)
	if err != nil || !secure {
		return c, err
	}
	t := tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err := t.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return t, nil
}
