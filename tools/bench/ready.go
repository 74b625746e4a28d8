package main

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// measureReady measures the time from the program's start until it is ready,
// on an empty data directory; the first start only warms the page cache.
func measureReady(ctx context.Context, b *bench) error {
	const bar = 600 * time.Millisecond
	var ours []time.Duration
	for n := range 6 {
		p, took, err := start(ctx, b.bin, b.listen, filepath.Join(b.dir, fmt.Sprint("ready-", n)))
		if err != nil {
			return err
		}
		if err := p.down(); err != nil {
			return err
		}
		if n > 0 {
			ours = append(ours, took)
		}
	}
	m := median(ours)
	worst := quantile(ours, 1)
	peer := "no moto_server"
	if moto, took, err := startMoto(ctx); err == nil {
		peer = "moto " + ms(took) + " (n=1)"
		moto.stop()
	}
	b.table.add("ready, empty data dir", ms(m)+" (n=5, worst "+ms(worst)+")", peer, ms(m), "< "+ms(bar), verdict(m < bar))
	return nil
}

// moto is a running moto_server, an emulator that keeps state in memory.
type moto struct {
	url string
	cmd *exec.Cmd
}

// startMoto returns when it answers, and how long that took.
func startMoto(ctx context.Context) (*moto, time.Duration, error) {
	bin, err := exec.LookPath("moto_server")
	if err != nil {
		return nil, 0, err
	}
	// A wrapper of a version manager would be killed in its place.
	if real, err := exec.Command("pyenv", "which", "moto_server").Output(); err == nil {
		bin = strings.TrimSpace(string(real))
	}
	port, err := freePort()
	if err != nil {
		return nil, 0, err
	}
	m := &moto{url: "http://127.0.0.1:" + port, cmd: exec.CommandContext(ctx, bin, "-p", port)}
	began := time.Now()
	if err := m.cmd.Start(); err != nil {
		return nil, 0, err
	}
	for time.Since(began) < 20*time.Second {
		if res, err := http.Get(m.url + "/moto-api/"); err == nil {
			res.Body.Close()
			return m, time.Since(began), nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			m.stop()
			return nil, 0, ctx.Err()
		}
	}
	m.stop()
	return nil, 0, fmt.Errorf("moto_server does not answer after 20 s")
}

func (m *moto) stop() {
	m.cmd.Process.Kill()
	m.cmd.Wait()
}

func (m *moto) pid() int { return m.cmd.Process.Pid }

// askMoto is what moto does in the same place, or why there is no figure of it.
func askMoto(ctx context.Context, f func(m *moto) (string, error)) string {
	m, _, err := startMoto(ctx)
	if err != nil {
		return "no moto_server"
	}
	defer m.stop()
	said, err := f(m)
	if err != nil {
		return "moto failed: " + err.Error()
	}
	return "moto " + said
}
