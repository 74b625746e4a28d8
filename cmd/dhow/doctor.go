package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/dhowhq/dhow/driver/containerd"
	"github.com/dhowhq/dhow/network"
)

type doctorCmd struct{}

// Run prints a line per thing that running tasks needs, and fails if one is
// missing.
func (doctorCmd) Run(context.Context) error {
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
	for _, tool := range []struct{ name, why string }{
		{"aws", "the AWS CLI, to talk to dhow"}, {"terraform", "Terraform, for the same"},
	} {
		if _, err := exec.LookPath(tool.name); err == nil {
			fmt.Printf("ok      %s: found\n", tool.name)
		} else {
			fmt.Printf("absent  %s: %s; dhow itself does not need it\n", tool.name, tool.why)
		}
	}
	if missing > 0 {
		fmt.Fprintln(os.Stderr)
		return errors.New("tasks cannot run on this machine as it is; `dhow up --no-node` and `--driver sim` can")
	}
	return nil
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
