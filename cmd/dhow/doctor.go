package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dhowhq/dhow/driver/containerd"
	"github.com/dhowhq/dhow/network"
)

type doctorCmd struct{}

// Run prints a line per thing that running tasks needs, and fails if one is
// missing.
func (doctorCmd) Run(ctx context.Context) error {
	missing := 0
	say := func(ok bool, what, fix string) {
		mark := "ok      "
		if !ok {
			mark, missing = "MISSING ", missing+1
		}
		fmt.Println(mark + what)
		if !ok && fix != "" {
			fmt.Println("        mend: " + fix)
		}
	}
	runtime := containerd.Check()
	for _, p := range runtime {
		say(false, p.Error(), p.Fix)
	}
	if len(runtime) == 0 {
		say(true, "containers: containerd and runc can be used", "")
	}
	net := network.Check()
	for _, p := range net {
		say(false, p.What, p.Fix)
	}
	if len(net) == 0 {
		say(true, "network: namespaces, veth devices and nftables work", "")
	}
	for _, tool := range []struct {
		name, why string
		note      func(context.Context) string
	}{
		{"aws", "the AWS CLI, to talk to dhow", func(ctx context.Context) string { return awsNote(awsVersion(ctx)) }},
		{"terraform", "Terraform, for the same", func(context.Context) string { return "" }},
	} {
		if _, err := exec.LookPath(tool.name); err == nil {
			fmt.Printf("ok      %s: found%s\n", tool.name, tool.note(ctx))
		} else {
			fmt.Printf("absent  %s: %s; dhow itself does not need it\n", tool.name, tool.why)
		}
	}
	fmt.Println(openFiles())
	if missing > 0 {
		fmt.Fprintln(os.Stderr)
		return errors.New("tasks cannot run on this machine as it is; `dhow up --no-node` and `--driver sim` can")
	}
	return nil
}

// openFiles says how many connections the limit of open files leaves room for.
func openFiles() string {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return "unknown open files: " + err.Error()
	}
	return openFilesNote(limit.Max) // the runtime of Go raises the soft limit to this
}

// fewOpenFiles is the limit below which dhow may run out of connections before
// it runs out of processor.
const fewOpenFiles = 65536

func openFilesNote(limit uint64) string {
	if limit >= fewOpenFiles {
		return fmt.Sprintf("ok      open files: up to %d", limit)
	}
	return fmt.Sprintf(`low     open files: up to %d; a connection takes one, a call through a load balancer two
        mend: start dhow after "ulimit -n %d", or with LimitNOFILE=%d in its systemd unit`, limit, 1<<20, 1<<20)
}

// awsVersion is what the AWS CLI says of itself, "" if it does not.
func awsVersion(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, "aws", "--version").CombinedOutput() // old ones write it to standard error
	return string(out)
}

// awsNote warns of version 1 of the AWS CLI: it has addresses of its own for
// SQS, which only the option overrides.
func awsNote(version string) string {
	if !strings.HasPrefix(version, "aws-cli/1.") {
		return ""
	}
	return "; its version 1 calls AWS for `aws sqs` whatever AWS_ENDPOINT_URL says: add --endpoint-url $AWS_ENDPOINT_URL there"
}

// downCmd removes what a platform left running on purpose.
type downCmd struct {
	DataDir    string `default:"${datadir}" type:"path" help:"The platform's data directory."`
	Containerd string `help:"Socket of the containerd that the platform used."`
}

// Run purges the node: containers, mounts, namespaces, devices and rules. The
// next dhow up starts the services' tasks anew.
func (c downCmd) Run(ctx context.Context) error {
	if _, err := os.Stat(c.DataDir); err != nil {
		return fmt.Errorf("no platform has been here: %w", err)
	}
	return purge(ctx, c.DataDir, c.Containerd)
}
