package test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the conversations in testdata/script side by side, each
// with its own account, whose state is empty at the beginning.
func TestScripts(t *testing.T) {
	p := need(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(e *testscript.Env) error { return setup(p, e) },
		Condition: func(cond string) (bool, error) {
			name, ok := strings.CutPrefix(cond, "tool:")
			if !ok {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			switch name {
			case "terraform":
				return terraformPlugins() != "", nil
			case "boto3":
				return exec.Command("python3", "-c", "import boto3").Run() == nil, nil
			}
			_, err := exec.LookPath(name)
			return err == nil, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"get":    func(ts *testscript.TestScript, neg bool, args []string) { get(p, ts, neg, args) },
			"let":    let,
			"until":  until,
			"expand": expand,
		},
	})
}

func setup(p *platform, e *testscript.Env) error {
	account := newAccount()
	home, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	e.Setenv("PATH", filepath.Dir(dhow)+string(os.PathListSeparator)+os.Getenv("PATH"))
	// Tools that were installed for a user find themselves by HOME; what they
	// keep there of AWS must not be read.
	e.Setenv("HOME", home)
	e.Setenv("AWS_CONFIG_FILE", os.DevNull)
	e.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	e.Setenv("AWS_CA_BUNDLE", "")
	e.Setenv("AWS_PAGER", "")
	e.Setenv("AWS_MAX_ATTEMPTS", "1")
	e.Setenv("AWS_ENDPOINT_URL", p.url)
	e.Setenv("AWS_REGION", "us-east-1")
	e.Setenv("AWS_DEFAULT_REGION", "us-east-1")
	e.Setenv("AWS_ACCESS_KEY_ID", account)
	e.Setenv("AWS_SECRET_ACCESS_KEY", "any")
	e.Setenv("ACCOUNT", account)
	e.Setenv("HELLO", hello)
	if plugins := terraformPlugins(); plugins != "" {
		rc := filepath.Join(e.WorkDir, ".terraformrc")
		text := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", plugins)
		if err := os.WriteFile(rc, []byte(text), 0o600); err != nil {
			return err
		}
		e.Setenv("TF_CLI_CONFIG_FILE", rc)
		e.Setenv("TF_IN_AUTOMATION", "1")
		e.Setenv("CHECKPOINT_DISABLE", "1")
	}
	if t, ok := e.T().(testscript.TFailed); ok {
		e.Defer(func() {
			if t.Failed() {
				e.T().Log(tasksOf(p, e))
			}
		})
	}
	return nil
}

// tasksOf shows the tasks of a conversation that failed, with why they stopped,
// and what the platform logged last.
func tasksOf(p *platform, e *testscript.Env) string {
	ps := exec.Command(dhow, "ps", "--all")
	ps.Env = e.Vars
	out, err := ps.CombinedOutput()
	if err != nil {
		out = fmt.Append(out, err)
	}
	log := p.errs.String()
	return fmt.Sprintf("its tasks:\n%s\nlast words of the platform:\n%s", out, log[max(0, len(log)-8<<10):])
}

// terraformPlugins is the local folder that has the AWS provider, "" if
// Terraform or the provider is not here.
func terraformPlugins() string {
	if _, err := exec.LookPath("terraform"); err != nil {
		return ""
	}
	home, _ := os.UserHomeDir()
	for _, root := range []string{"/opt/tf-plugins", "/usr/share/terraform/plugins", "/usr/local/share/terraform/plugins",
		filepath.Join(home, ".terraform.d/plugins"), filepath.Join(home, ".local/share/terraform/plugins")} {
		if found, _ := filepath.Glob(filepath.Join(root, "*/hashicorp/aws")); len(found) > 0 {
			return root
		}
	}
	return ""
}

// get URL [REGEXP] calls a load balancer's URL through the API's port, again
// and again for 30 s at most until it answers 200; its body is the stdout.
func get(p *platform, ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: get URL")
	}
	u, err := url.Parse(args[0])
	ts.Check(err)
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.Contains(addr, ".elb.") {
			addr = p.address()
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}}
	var last string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		res, err := c.Get(u.String())
		if err != nil {
			last = err.Error()
			continue
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if last = res.Status; err == nil && (res.StatusCode == http.StatusOK) != neg {
			fmt.Fprintf(ts.Stdout(), "%s", body)
			return
		}
	}
	ts.Fatalf("get %s: %s", args[0], last)
}

// let NAME runs nothing: it keeps the last stdout, trimmed, in $NAME.
func let(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: let NAME")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// expand FILE replaces ${NAME} in the file by the environment's value.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	ts.Check(os.WriteFile(path, []byte(os.Expand(string(data), ts.Getenv)), 0o600))
}

// until SECONDS WANT COMMAND... runs the command until its output has WANT.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: until SECONDS WANT COMMAND...")
	}
	seconds, err := strconv.Atoi(args[0])
	ts.Check(err)
	var out string
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		err := ts.Exec(args[2], args[3:]...)
		if out = ts.ReadFile("stdout"); err == nil && strings.Contains(out, args[1]) {
			return
		}
	}
	ts.Fatalf("%q did not appear within %d s; last:\n%s", args[1], seconds, out)
}
