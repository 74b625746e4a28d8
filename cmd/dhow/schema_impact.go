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
	"strings"
	"text/tabwriter"

	"github.com/dhowhq/dhow/contract/impact"
	"github.com/dhowhq/dhow/contract/registry"
)

type schemaImpactCmd struct {
	Name string `arg:"" help:"REGISTRY/NAME."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run prints a line for each service that produces or consumes the schema.
func (c schemaImpactCmd) Run(ctx context.Context) error {
	var found impact.Impact
	if err := newClient().get(ctx, "/_dhow/schema/impact", url.Values{"schema": {c.Name}}, &found); err != nil {
		return err
	}
	if c.JSON {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		return out.Encode(found)
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
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", u.Service, u.Cluster, u.TaskDefinition, u.Deployment, u.Use,
			u.Declared, cmp.Or(u.Version, "-"), cmp.Or(u.Now, "-"), reads)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, u := range found.Users {
		for _, why := range u.Why {
			fmt.Fprintf(out, "%s (%s): %s\n", u.Service, u.TaskDefinition, why)
		}
	}
	return nil
}

// schemaImpact answers GET /_dhow/schema/impact?schema=REGISTRY/NAME.
func (p *platform) schemaImpact(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("schema")
	reg, schema, ok := strings.Cut(name, "/")
	if !ok {
		reg, schema = registry.Default, name
	}
	found, err := p.impact.Of(p.callScope(r), reg, schema)
	switch {
	case name == "":
		http.Error(w, "which schema? Give schema=REGISTRY/NAME", http.StatusBadRequest)
	case errors.Is(err, registry.ErrNoSchema):
		http.Error(w, fmt.Sprintf("the registry has no schema %.300s", name), http.StatusNotFound)
	case err != nil:
		p.log.Error("cannot tell who uses a schema", "schema", name, "err", err)
		http.Error(w, "it cannot be told, dhow's log says why", http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(found)
	}
}
