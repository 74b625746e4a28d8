// Package initproc is the first process of a container that asked for an
// init: it starts the real command, forwards signals to it, reaps orphans and
// ends with the command's exit code. It imports nothing beyond the standard
// library's smallest, so that a binary of it alone stays small.
//
// The driver binds a static binary that calls Main to /dev/init and runs
// `/dev/init -- COMMAND…`, or `/dev/init pause` for a container that only holds
// namespaces. A binary with other uses calls it first of all:
//
//	if initproc.Called() {
//		initproc.Main()
//	}
package initproc

import (
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Path is where the driver puts the init in a container.
const Path = "/dev/init"

// Called reports whether this process was started as a container's init.
func Called() bool { return len(os.Args) > 0 && os.Args[0] == Path }

// PauseArg is the argument that has Main wait instead of running a command.
const PauseArg = "pause"

// Main runs the command after "--" and does not return.
func Main() {
	args := os.Args[1:]
	if len(args) == 1 && args[0] == PauseArg {
		pause()
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fail(2, "no command")
	}
	path, err := find(args[0], os.Getenv("PATH"))
	if err != nil {
		code := 126
		if errors.Is(err, fs.ErrNotExist) {
			code = 127 // as shells do
		}
		fail(code, args[0]+": "+err.Error())
	}
	// Before the start, so that no signal is lost.
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	child, err := start(path, args)
	if err != nil {
		fail(126, args[0]+": "+err.Error())
	}
	for s := range signals {
		n, ok := s.(syscall.Signal)
		switch {
		case !ok || n == syscall.SIGURG: // Go's scheduler uses it
		case n == syscall.SIGCHLD:
			if code, ended := reap(child); ended {
				os.Exit(code)
			}
		case n == syscall.SIGPIPE:
		default:
			_ = syscall.Kill(child, n)
		}
	}
}

// pause reaps orphans, whose parent it is where a process namespace is shared,
// until it is told to end.
func pause() {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			os.Exit(0)
		}
		reap(0)
	}
}

func fail(code int, text string) {
	os.Stderr.WriteString("init: " + text + "\n")
	os.Exit(code)
}

// start runs the command in a process group of its own, in the foreground
// where there is a terminal.
func start(path string, args []string) (pid int, err error) {
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setpgid: true}}
	if st, err := os.Stdin.Stat(); err == nil && st.Mode()&os.ModeCharDevice != 0 && terminal(0) {
		attr.Sys = &syscall.SysProcAttr{Foreground: true, Ctty: 0}
	}
	return syscall.ForkExec(path, args, attr)
}

// reap collects all children that ended; it reports the command's exit code
// if that was one of them.
func reap(command int) (code int, ended bool) {
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return code, ended
		}
		if pid != command {
			continue
		}
		ended = true
		code = ws.ExitStatus()
		if ws.Signaled() {
			code = 128 + int(ws.Signal())
		}
	}
}

// find looks a command up in PATH.
func find(name, path string) (string, error) {
	if strings.Contains(name, "/") {
		return name, executable(name)
	}
	found := error(fs.ErrNotExist)
	for _, dir := range strings.Split(path, ":") {
		if dir == "" {
			dir = "."
		}
		file := dir + "/" + name
		err := executable(file)
		if err == nil {
			return file, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			found = err
		}
	}
	return "", found
}

func executable(file string) error {
	st, err := os.Stat(file)
	if err != nil {
		return err
	}
	if st.IsDir() || st.Mode()&0o111 == 0 {
		return fs.ErrPermission
	}
	return nil
}
