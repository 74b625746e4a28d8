package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
)

// bareArg makes this program the bare handler: it must be a process of its
// own, as dhow is.
const bareArg = "bare"

// answer is what the bare handler writes to every request.
type answer struct {
	Header http.Header
	Body   []byte
}

// serveBare reads an answer from in, writes its URL to out and serves.
func serveBare(in io.Reader, out io.Writer) error {
	var a answer
	if err := json.NewDecoder(in).Decode(&a); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "http://"+l.Addr().String())
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // as everybody who answers a call must
		h := w.Header()
		for k, v := range a.Header {
			h[k] = v
		}
		w.Write(a.Body)
	}))
}

type process struct{ cmd *exec.Cmd }

func (p process) stop() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// startBare starts the bare handler with the answer of the platform.
func startBare(res *http.Response) (process, string, error) {
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return process{}, "", err
	}
	res.Header.Del("Date") // net/http writes its own
	data, err := json.Marshal(answer{res.Header, body})
	if err != nil {
		return process{}, "", err
	}
	self, err := os.Executable()
	if err != nil {
		return process{}, "", err
	}
	cmd := exec.Command(self, bareArg)
	cmd.Stdin, cmd.Stderr = strings.NewReader(string(data)), os.Stderr
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
		return process{}, "", fmt.Errorf("the bare handler did not start: %w", err)
	}
	return process{cmd}, strings.TrimSpace(url), nil
}
