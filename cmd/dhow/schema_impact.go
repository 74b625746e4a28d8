package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"

	"github.com/dhowhq/dhow/contract/broker"
	"github.com/dhowhq/dhow/contract/impact"
	"github.com/dhowhq/dhow/contract/registry"
)

type schemaImpactCmd struct {
	Name string `arg:"" help:"REGISTRY/NAME."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run prints a line for each revision that runs and produces or consumes the
// schema.
func (c schemaImpactCmd) Run(ctx context.Context) error {
	var found impact.Impact
	if err := newClient().get(ctx, "/_dhow/schema/impact", url.Values{"schema": {c.Name}}, &found); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(found)
	}
	return printImpact(os.Stdout, found)
}

func printImpact(out io.Writer, found impact.Impact) error {
	fmt.Fprintf(out, "%s, latest %s\n", found.Schema, cmp.Or(found.Latest, "-"))
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SERVICE\tCLUSTER\tREVISION\tDEPLOYMENT\tUSE\tDECLARED\tVERSION\tNOW\tREADS LATEST")
	for _, u := range found.Users {
		reads := "-"
		switch {
		case u.ReadsLatest == nil:
		case *u.ReadsLatest:
			reads = "yes"
		default:
			reads = "no"
		}
		deployment := u.Deployment
		if u.Tasks > 0 {
			deployment = fmt.Sprintf("%d of no service", u.Tasks)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", cmp.Or(u.Service, "-"), u.Cluster, u.TaskDefinition, deployment, u.Use,
			u.Declared, cmp.Or(u.Version, "-"), cmp.Or(u.Now, "-"), reads)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, u := range found.Users {
		for _, why := range u.Why {
			fmt.Fprintf(out, "%s (%s): %s\n", cmp.Or(u.Service, "task"), u.TaskDefinition, why)
		}
	}
	return nil
}

// schemaImpact answers GET /_dhow/schema/impact?schema=REGISTRY/NAME.
func (p *platform) schemaImpact(w http.ResponseWriter, r *http.Request) {
	n, ok := p.schemaName(w, r)
	if !ok || !p.permitted(w, r, broker.Action, n.ARNs()...) { // it tells what readers could not read
		return
	}
	found, err := p.impact.Of(n)
	switch {
	case errors.Is(err, registry.ErrNoSchema):
		noSchema(w, n)
	case err != nil:
		p.log.Error("cannot tell who uses a schema", "schema", n.Schema, "err", err)
		http.Error(w, "it cannot be told, dhow's log says why", http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(found)
	}
}
