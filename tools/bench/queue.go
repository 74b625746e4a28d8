package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// setArg makes this program a handler of net/http that sets each request's body
// in Pebble, synced, before it answers: what no durable queue over HTTP beats.
const setArg = "set"

func serveSet(dir string, out io.Writer) error {
	db, err := pebble.Open(dir, &pebble.Options{Logger: silent{}})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "http://"+l.Addr().String())
	var n atomic.Uint64
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = db.Set(binary.BigEndian.AppendUint64(nil, n.Add(1)), body, pebble.Sync)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
}

type silent struct{}

func (silent) Infof(string, ...any)         {}
func (silent) Errorf(string, ...any)        {}
func (silent) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

func startSet(dir string) (process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return process{}, "", err
	}
	cmd := exec.Command(self, setArg, dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return process{}, "", err
	}
	if err := cmd.Start(); err != nil {
		return process{}, "", err
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		process{cmd}.stop()
		return process{}, "", fmt.Errorf("the handler over Pebble did not start: %w", err)
	}
	return process{cmd}, strings.TrimSpace(url), nil
}

// sqsScript is calls of SQS as wrk's script.
func sqsScript(op, body string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "wrk.method = 'POST'\nwrk.body = [[%s]]\n", body)
	for _, h := range call.headers {
		if h[0] == "X-Amz-Target" {
			h[1] = "AmazonSQS." + op
		}
		fmt.Fprintf(&s, "wrk.headers[%q] = %q\n", h[0], strings.ReplaceAll(h[1], "/ecs/", "/sqs/"))
	}
	return s.String()
}

// measureSend measures SendMessage and SendMessageBatch with bodies of 1 KB,
// against that handler, which gets the same requests.
func measureSend(ctx context.Context, b *bench) error {
	if _, err := exec.LookPath("wrk"); err != nil {
		return fmt.Errorf("%w: no wrk (apt-get install wrk)", errSkipped)
	}
	p, err := b.platform(ctx)
	if err != nil {
		return err
	}
	set, url, err := startSet(filepath.Join(b.dir, "set"))
	if err != nil {
		return err
	}
	defer set.stop()
	if err := createQueue(ctx, p.url, "bench"); err != nil {
		return err
	}
	text := strings.Repeat("x", 1024)
	address := p.url + "/000000000000/bench"
	var entries []string
	for i := range 10 {
		entries = append(entries, fmt.Sprintf(`{"Id":"%d","MessageBody":"%s"}`, i, text))
	}
	for _, c := range []struct {
		what, op, body string
		messages       float64
		bar            float64
	}{
		{"SendMessage, 1 KB, 16 connections", "SendMessage", fmt.Sprintf(`{"QueueUrl":"%s","MessageBody":"%s"}`, address, text), 1, 0.8},
		{"SendMessageBatch of 10", "SendMessageBatch", fmt.Sprintf(`{"QueueUrl":"%s","Entries":[%s]}`, address, strings.Join(entries, ",")), 10, 0.5},
	} {
		script := filepath.Join(b.dir, c.op+".lua")
		if err := os.WriteFile(script, []byte(sqsScript(c.op, c.body)), 0o600); err != nil {
			return err
		}
		sides := [2]*served{{url: p.url, pid: p.cmd.Process.Pid}, {url: url, pid: set.cmd.Process.Pid}}
		const turns = 6
		for n := range turns + 1 {
			for i := range sides {
				if err := sides[(i+n)%2].measure(ctx, script, n > 0); err != nil {
					return err
				}
			}
		}
		ours, floor := sides[0], sides[1]
		ratio := median(ratios(ours.rates, floor.rates))
		b.table.add(c.what, fmt.Sprintf("%.0f messages/s, %.0f µs processor a call", c.messages*median(ours.rates), median(ours.costs)),
			fmt.Sprintf("net/http and Pebble Set(Sync) %.0f/s, %.0f µs", c.messages*median(floor.rates), median(floor.costs)),
			fmt.Sprintf("%.2f ×", ratio), fmt.Sprintf("≥ %.1f ×", c.bar), verdict(ratio >= c.bar))
	}
	return nil
}

func createQueue(ctx context.Context, url, name string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/", strings.NewReader(fmt.Sprintf(`{"QueueName":"%s"}`, name)))
	if err != nil {
		return err
	}
	req.Header.Set("X-Amz-Target", "AmazonSQS.CreateQueue")
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		data, _ := io.ReadAll(res.Body)
		return fmt.Errorf("CreateQueue: %s: %s", res.Status, data)
	}
	return nil
}
