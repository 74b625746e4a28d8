package sim

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/dhowhq/dhow/driver"
)

// Behaviour is what containers of an image do. An image whose repository has
// a "sim" directory, as in sim/exit-1-after-5s:latest or
// registry.example/sim/cpu-50-mem-64, says it in the last part of its name, in
// pairs of key and value:
//
//	after-DURATION   end after that time, with code 0 unless exit says other
//	exit-CODE        the exit code, at once unless after says other
//	oom-DURATION     killed for want of memory after that time
//	pull-DURATION    how long a pull takes
//	start-DURATION   how long a start takes
//	stop-DURATION    from SIGTERM to the exit; "never" ignores SIGTERM
//	exec-CODE        exit code of commands run in it, health checks too
//	cpu-PERCENT      of one vCPU, as Stats shows it
//	mem-MIB          memory, as Stats shows it
//	fail-WHAT        notfound, auth, unreachable: the pull fails so;
//	                 command: the start does
//
// Any other name runs until it is stopped. What the command says (script)
// comes before after and exit.
type Behaviour struct {
	Ends  bool          // by itself
	After time.Duration // from the start to that end
	Exit  int
	OOM   bool

	Pull  time.Duration // 0: the Config's
	Start time.Duration // 0: the Config's
	Stop  time.Duration // 0: the Config's; negative: never
	Exec  int

	CPU    float64 // vCPUs; 0: 0.01
	Memory int64   // bytes; 0: 8 MiB

	Fail string // notfound, auth, unreachable or command
}

func (d *Driver) behaviour(ref string) (Behaviour, error) {
	if b, ok := d.cfg.Images[ref]; ok {
		return b, nil
	}
	b, err := parseImage(ref)
	if err != nil {
		return b, fmt.Errorf("simulated image %s: %w", ref, err)
	}
	return b, nil
}

// parseImage reads a Behaviour out of a reference.
func parseImage(ref string) (b Behaviour, err error) {
	name, _, _ := strings.Cut(ref, "@")
	dir, last := path.Split(name)
	last, _, _ = strings.Cut(last, ":")
	if path.Base(dir) != "sim" {
		return b, nil
	}
	words := strings.Split(last, "-")
	if len(words)%2 != 0 {
		return b, nil // a plain name
	}
	for i := 0; i < len(words); i += 2 {
		known, err := b.set(words[i], words[i+1])
		if err != nil {
			return b, fmt.Errorf("%s-%s: %w", words[i], words[i+1], err)
		}
		if !known && i == 0 {
			return b, nil // a plain name with a hyphen in it
		}
		if !known {
			return b, fmt.Errorf("unknown key %q", words[i])
		}
	}
	return b, nil
}

func (b *Behaviour) set(key, value string) (known bool, err error) {
	switch key {
	case "after":
		b.Ends = true
		b.After, err = time.ParseDuration(value)
	case "exit":
		b.Ends = true
		b.Exit, err = exitCode(value)
	case "oom":
		b.Ends, b.OOM, b.Exit = true, true, 137
		b.After, err = time.ParseDuration(value)
	case "pull":
		b.Pull, err = time.ParseDuration(value)
	case "start":
		b.Start, err = time.ParseDuration(value)
	case "stop":
		if value == "never" {
			b.Stop = -1
			break
		}
		b.Stop, err = time.ParseDuration(value)
	case "exec":
		b.Exec, err = exitCode(value)
	case "cpu":
		b.CPU, err = strconv.ParseFloat(value, 64)
		b.CPU /= 100
	case "mem":
		b.Memory, err = strconv.ParseInt(value, 10, 43)
		b.Memory <<= 20
	case "fail":
		b.Fail = value
		if value != "notfound" && value != "auth" && value != "unreachable" && value != "command" {
			err = fmt.Errorf("it can fail with notfound, auth, unreachable or command")
		}
	default:
		return false, nil
	}
	return true, err
}

func exitCode(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 8)
	return int(n), err
}

func (b Behaviour) pull(cfg Config) time.Duration  { return either(b.Pull, cfg.Pull) }
func (b Behaviour) start(cfg Config) time.Duration { return either(b.Start, cfg.Start) }
func (b Behaviour) stop(cfg Config) time.Duration  { return either(b.Stop, cfg.Stop) }

func either(a, b time.Duration) time.Duration {
	if a != 0 {
		return a
	}
	return b
}

// pullError words failures as containerd does.
func (b Behaviour) pullError(ref string) error {
	switch b.Fail {
	case "notfound":
		return failure{driver.ErrImageNotFound, fmt.Sprintf("failed to resolve reference %q: %s: not found", ref, ref)}
	case "auth":
		return failure{driver.ErrAuth, fmt.Sprintf("failed to resolve reference %q: pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials", ref)}
	case "unreachable":
		return failure{driver.ErrUnreachable, fmt.Sprintf("failed to resolve reference %q: failed to do request: dial tcp: connection refused", ref)}
	}
	return nil
}

// failure is a text for users that wraps a sentinel for callers.
type failure struct {
	kind error
	text string
}

func (f failure) Error() string { return f.text }
func (f failure) Unwrap() error { return f.kind }
