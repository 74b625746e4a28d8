package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
)

// call is what the AWS CLI sends for `aws ecs describe-clusters --clusters
// default`; in open mode nobody checks its signature.
var call = struct {
	body    string
	headers [][2]string
}{`{"clusters": ["default"]}`, [][2]string{
	{"X-Amz-Target", "AmazonEC2ContainerServiceV20141113.DescribeClusters"},
	{"Content-Type", "application/x-amz-json-1.1"},
	{"Accept-Encoding", "identity"},
	{"User-Agent", "aws-cli/2.31.0 md/awscrt#0.27.6 ua/2.1 os/linux md/arch#x86_64 lang/python#3.13.7 md/pyimpl#CPython cfg/retry-mode#standard md/installer#exe md/prompt#off md/command#ecs.describe-clusters"},
	{"X-Amz-Date", "20260101T000000Z"},
	{"amz-sdk-invocation-id", "1b7fcd2e-9f4f-4b0a-8d3e-3c8a9f0e6a11"},
	{"amz-sdk-request", "attempt=1"},
	{"Authorization", "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/ecs/aws4_request, " +
		"SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=6f3a0cbb51f0a0d2a6a2a1f2d0d9b2c4e2b17c3d86d4a6f1f0be9d5b6a7c8d9e"},
}}

// measureAPI measures calls with 16 connections, against a handler of net/http
// that writes the same bytes without looking at the request.
func measureAPI(ctx context.Context, b *bench) error {
	const bar = 0.7
	if _, err := exec.LookPath("wrk"); err != nil {
		return fmt.Errorf("%w: no wrk (apt-get install wrk)", errSkipped)
	}
	p, err := b.platform(ctx)
	if err != nil {
		return err
	}
	script := filepath.Join(b.dir, "call.lua")
	if err := os.WriteFile(script, []byte(lua()), 0o600); err != nil {
		return err
	}
	answer, err := ask(ctx, p.url)
	if err != nil {
		return err
	}
	bare, url, err := startBare(answer)
	if err != nil {
		return err
	}
	defer bare.stop()
	sides := [2]*served{{url: p.url, pid: p.cmd.Process.Pid}, {url: url, pid: bare.cmd.Process.Pid}}
	const turns = 12 // after one that warms both
	for n := range turns + 1 {
		for i := range sides {
			if err := sides[(i+n)%2].measure(ctx, script, n > 0); err != nil {
				return err
			}
		}
	}
	ours, floor := sides[0], sides[1]
	ratio := median(ratios(ours.rates, floor.rates))
	peer := askMoto(ctx, func(m *moto) (string, error) {
		// It loads what it knows of ECS at the first call, which takes seconds.
		if _, err := ecsClient(m.url).CreateCluster(ctx, &ecs.CreateClusterInput{}); err != nil {
			return "", err
		}
		rate, err := wrk(ctx, script, m.url, 5*time.Second)
		return fmt.Sprintf("%.0f/s", rate), err
	})
	b.table.add("DescribeClusters, 16 connections", fmt.Sprintf("%.0f/s, %.0f µs processor each (n=%d×2 s)", median(ours.rates), median(ours.costs), turns),
		fmt.Sprintf("bare net/http %.0f/s, %.0f µs; %s", median(floor.rates), median(floor.costs), peer), fmt.Sprintf("%.2f ×", ratio), fmt.Sprintf("≥ %.1f ×", bar), verdict(ratio >= bar))
	return nil
}

// served is one side: its rates, and its own processor time for a call in µs,
// which a busy machine changes less.
type served struct {
	url          string
	pid          int
	rates, costs []float64
}

func (s *served) measure(ctx context.Context, script string, counts bool) error {
	const span = 2 * time.Second
	before, err := cpuTime(s.pid)
	if err != nil {
		return err
	}
	r, err := wrk(ctx, script, s.url, span)
	if err != nil {
		return err
	}
	after, err := cpuTime(s.pid)
	if err != nil || !counts {
		return err
	}
	s.rates = append(s.rates, r)
	s.costs = append(s.costs, float64((after-before).Microseconds())/(r*span.Seconds()))
	return nil
}

// lua is the call as wrk's script.
func lua() string {
	var s strings.Builder
	fmt.Fprintf(&s, "wrk.method = 'POST'\nwrk.body = [[%s]]\n", call.body)
	for _, h := range call.headers {
		fmt.Fprintf(&s, "wrk.headers[%q] = %q\n", h[0], h[1])
	}
	return s.String()
}

// ask makes the call once and returns the answer.
func ask(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/", strings.NewReader(call.body))
	if err != nil {
		return nil, err
	}
	for _, h := range call.headers {
		req.Header.Set(h[0], h[1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("DescribeClusters: %s: %s", res.Status, body)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, err
}

// wrk returns calls per second.
func wrk(ctx context.Context, script, url string, span time.Duration) (float64, error) {
	out, err := exec.CommandContext(ctx, "wrk", "-t1", "-c16", fmt.Sprintf("-d%.0fs", span.Seconds()), "-s", script, url+"/").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	return parseWrk(string(out))
}

var (
	perSecond = regexp.MustCompile(`(?m)^Requests/sec:\s+([0-9.]+)`)
	trouble   = regexp.MustCompile(`(?m)^\s+(Non-2xx|Socket errors).*`)
)

func parseWrk(out string) (float64, error) {
	if t := trouble.FindString(out); t != "" {
		return 0, fmt.Errorf("wrk: %s", strings.TrimSpace(t))
	}
	m := perSecond.FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("wrk says no rate: %s", out)
	}
	r, err := strconv.ParseFloat(m[1], 64)
	if err == nil && r == 0 {
		err = fmt.Errorf("wrk made no call")
	}
	return r, err
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}
