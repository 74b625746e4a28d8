package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// platform is the `dhow up` that the demo runs.
type platform struct {
	bin  string // bin/dhow
	args []string
	url  string
	cmd  *exec.Cmd
}

// start runs `dhow up` and waits for its ready line.
func start(ctx context.Context, listen, dataDir string) (*platform, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &platform{bin: filepath.Join(filepath.Dir(self), "dhow")}
	if dataDir != "" {
		p.args = []string{"--data-dir", dataDir}
	}
	p.cmd = exec.Command(p.bin, append([]string{"up", "--listen", listen}, p.args...)...)
	p.cmd.Stderr = os.Stderr
	// Ctrl-C is for the demo: dhow is told when it is time.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.cmd.Wait()
		return nil, fmt.Errorf("dhow did not start: it said why above")
	}
	fmt.Print(line)
	fields := strings.Fields(line)
	p.url = fields[len(fields)-1]
	return p, ctx.Err()
}

// dhow runs a verb against the platform, in sight of the user.
func (p *platform) dhow(ctx context.Context, args ...string) error {
	c := exec.CommandContext(ctx, p.bin, args...)
	// The account and the region are the demo's, whatever the user's shell says.
	c.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+p.url, "AWS_REGION="+region, "AWS_ACCESS_KEY_ID="+account, "AWS_SECRET_ACCESS_KEY=dhow")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	return c.Run()
}

// down stops the platform and removes what outlives it.
func (p *platform) down() error {
	fmt.Println("\nstopping: the platform, then its containers and networks")
	p.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		p.cmd.Process.Kill()
		<-done
	}
	c := exec.Command(p.bin, append([]string{"down"}, p.args...)...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("dhow down: %w", err)
	}
	fmt.Println("nothing is left running; `dhow up` brings the service back")
	return nil
}
