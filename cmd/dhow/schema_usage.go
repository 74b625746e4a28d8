package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"text/tabwriter"
	"time"
)

type schemaUsageCmd struct {
	Name string `arg:"" help:"REGISTRY/NAME."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run prints a line for each version of the schema, resource and sender: who
// still sends 1.x.
func (c schemaUsageCmd) Run(ctx context.Context) error {
	var found usages
	if err := newClient().get(ctx, "/_dhow/schema/usage", url.Values{"schema": {c.Name}}, &found); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(found)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tACCEPTED\tREFUSED\tLAST\tTO\tBY")
	for _, u := range found.Usage {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\n", cmp.Or(u.Version, "-"), u.Accepted, u.Refused, u.Last.UTC().Format(time.DateTime), u.Resource, u.Sender)
	}
	return w.Flush()
}
