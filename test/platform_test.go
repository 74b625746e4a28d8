// Package test holds conversations with the whole platform: one `dhow up`
// with real containers serves them all, each in an account of its own.
package test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/dhowhq/dhow/driver/containerd"
	"github.com/dhowhq/dhow/internal/sdktest"
	"github.com/dhowhq/dhow/network"
)

// dhow is the binary under test, hello the program that services run.
var dhow, hello string

// shared is the platform of the conversations, nil where this machine cannot
// run containers; why says what it lacks.
var (
	shared *platform
	why    string
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if testing.Short() {
		fmt.Println("conversations with the whole platform are left out by -short")
		return 0
	}
	dir, err := os.MkdirTemp("", "dhow-test-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	dhow, hello = filepath.Join(dir, "bin", "dhow"), filepath.Join(dir, "bin", "hello")
	for bin, pkg := range map[string]string{dhow: "../cmd/dhow", hello: "../examples/hello"} {
		build := exec.Command("go", "build", "-o", bin, pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fail(fmt.Errorf("%s: %w\n%s", pkg, err, out))
		}
	}
	if out, err := exec.Command(dhow, "doctor").CombinedOutput(); err != nil {
		why = string(out)
		if os.Getenv("CI") == "true" {
			return fail(fmt.Errorf("this machine cannot run containers:\n%s", out))
		}
		return m.Run()
	}
	shared, err = startPlatform(filepath.Join(dir, "data"))
	if err != nil {
		return fail(err)
	}
	code := m.Run()
	if err := shared.stop(); err != nil {
		return fail(err)
	}
	if err := shared.purge(); err != nil {
		return fail(err)
	}
	if left := leftovers(shared.dir); len(left) > 0 {
		return fail(fmt.Errorf("left behind: %v", left))
	}
	return code
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "FAIL:", err)
	return 1
}

// platform is a `dhow up` in a process of its own.
type platform struct {
	dir  string
	url  string
	args []string
	cmd  *exec.Cmd
	errs *lockedBuffer
	done chan error
}

// ownPlatform starts a platform for a test that kills it or starts it anew,
// without a node.
func ownPlatform(t *testing.T, args ...string) *platform {
	t.Helper()
	p, err := startPlatform(filepath.Join(t.TempDir(), "data"), append([]string{"--no-node"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop() })
	return p
}

// config is for an account's clients, which try each call once.
func (p *platform) config(account string) aws.Config {
	return aws.Config{Region: "us-east-1", BaseEndpoint: aws.String("http://" + p.address()), RetryMaxAttempts: 1, HTTPClient: sdktest.Client(),
		Credentials: credentials.NewStaticCredentialsProvider(account, "any", "")}
}

var accounts atomic.Int64

// newAccount is an account that no other test of this run has, so that what one
// leaves behind is in no other's way, nor in its own when it runs twice.
func newAccount() string { return fmt.Sprintf("9%011d", accounts.Add(1)) }

// strict is a test that the first error ends.
type strict struct{ *testing.T }

func (s strict) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// failing ends a test with the first error.
func failing(t *testing.T) func(error) { return strict{t}.must }

// startPlatform starts `dhow up` over dir on a port of the kernel's choice and
// waits until it is ready.
func startPlatform(dir string, args ...string) (*platform, error) {
	if err := claim(dir); err != nil {
		return nil, err
	}
	p := &platform{dir: dir, args: args, errs: new(lockedBuffer)}
	return p, p.start("127.0.0.1:0")
}

// claim marks a data directory as this run's, and removes what runs that were
// killed have left of theirs.
func claim(dir string) error {
	dead, err := containerd.Claim(dir)
	for _, dir := range dead {
		n, nerr := network.Open(context.Background(), network.Config{DataDir: filepath.Join(dir, "network")})
		if nerr == nil {
			nerr = errors.Join(n.Purge(context.Background()), n.Close(), os.RemoveAll(dir))
		}
		err = errors.Join(err, nerr)
	}
	return err
}

func (p *platform) start(listen string) error {
	p.cmd = exec.Command(dhow, append([]string{"up", "--data-dir", p.dir, "--listen", listen, "--log-level", "info"}, p.args...)...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	p.cmd.Stderr = p.errs
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.done = make(chan error, 1)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.cmd.Wait()
		p.done <- nil // who stops it then need not wait
		return fmt.Errorf("dhow up ended: %s", p.errs)
	}
	var ms int
	if _, err := fmt.Sscanf(line, "dhow ready in %d ms at %s\n", &ms, &p.url); err != nil {
		return fmt.Errorf("ready line %q: %w", line, err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	return nil
}

// address is HOST:PORT of the API.
func (p *platform) address() string { return strings.TrimPrefix(p.url, "http://") }

// stop ends the platform as SIGTERM does.
func (p *platform) stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.done:
		if err != nil {
			return fmt.Errorf("dhow up did not end cleanly: %w\n%s", err, p.errs)
		}
		return nil
	case <-time.After(30 * time.Second):
		p.cmd.Process.Kill()
		return fmt.Errorf("dhow up did not end within 30 s of SIGTERM:\n%s", p.errs)
	}
}

// kill ends it as kill -9 does, and waits until it is gone.
func (p *platform) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// purge removes what outlives the platform.
func (p *platform) purge() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, dhow, "down", "--data-dir", p.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("dhow down: %w\n%s", err, out)
	}
	return nil
}

// leftovers names what of a purged platform is still on this machine: mounts
// below its directory, and processes that carry its name.
func leftovers(dir string) (left []string) {
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], dir) {
			left = append(left, "mount "+f[1])
		}
	}
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, c := range commands {
		data, err := os.ReadFile(c)
		if err == nil && bytes.Contains(data, []byte(dir)) {
			left = append(left, "process "+string(bytes.ReplaceAll(data, []byte{0}, []byte{' '})))
		}
	}
	return left
}

// need skips a test that needs containers where there can be none.
func need(t *testing.T) *platform {
	t.Helper()
	if shared == nil {
		t.Skipf("no containers here: %s", why)
	}
	return shared
}

// eventually waits until f is content, and fails with what it said last.
func eventually(t *testing.T, limit time.Duration, f func() error) {
	t.Helper()
	end := time.Now().Add(limit)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %v: %v", limit, err)
		}
		time.Sleep(20 * time.Millisecond) // between two looks at another process
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
