package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// taskLine is what `dhow ps` shows of a task.
type taskLine struct {
	Cluster, ID, Family, Group string
	Revision                   int32
	Last, Desired              cluster.Status
	LaunchType                 string
	Health                     string
	Address                    string   // of its interface, or the ports that it publishes
	Reason                     string   `json:",omitempty"`
	Exit                       []string `json:",omitempty"` // container=code
	Warnings                   []string `json:",omitempty"`
	CreatedAt                  time.Time
	StartedAt, StoppedAt       *time.Time `json:",omitempty"`
}

// listTasks answers GET /_dhow/tasks: the caller's tasks as JSON.
func (p *platform) listTasks(w http.ResponseWriter, r *http.Request) {
	s := p.callScope(r)
	all := r.URL.Query().Get("all") != ""
	lines := []taskLine{}
	err := p.db.View(func(v store.Reader) error {
		for t := range cluster.Tasks.List(v, s.Prefix()) {
			if all || t.Last != cluster.Stopped {
				lines = append(lines, lineOf(t))
			}
		}
		return nil
	})
	if err != nil {
		http.Error(w, "the state cannot be read", http.StatusInternalServerError)
		return
	}
	slices.SortFunc(lines, func(a, b taskLine) int { return a.CreatedAt.Compare(b.CreatedAt) })
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(lines)
}

func lineOf(t cluster.Task) taskLine {
	l := taskLine{Cluster: t.Cluster, ID: t.ID, Family: t.Family, Revision: t.Revision, Group: t.Group, Last: t.Last,
		Desired: t.Desired, LaunchType: string(t.LaunchType), Health: string(t.Health), Reason: t.StoppedReason,
		CreatedAt: t.CreatedAt, StartedAt: t.StartedAt, StoppedAt: t.StoppedAt}
	if t.Interface != nil {
		l.Address = t.Interface.Address
	}
	for _, c := range t.Containers {
		for _, b := range c.Bindings {
			if b.HostPort != nil && b.ContainerPort != nil && t.Interface == nil {
				l.Address = strings.TrimPrefix(l.Address+fmt.Sprintf(",:%d→%d", *b.HostPort, *b.ContainerPort), ",")
			}
		}
		if c.ExitCode != nil {
			l.Exit = append(l.Exit, fmt.Sprintf("%s=%d", c.Name, *c.ExitCode))
		}
		if c.Reason != "" && t.Last == cluster.Stopped {
			l.Reason += " (" + c.Name + ": " + c.Reason + ")"
		}
	}
	for _, f := range t.Unserved {
		l.Warnings = append(l.Warnings, f+" is kept but does not act")
	}
	return l
}

type psCmd struct {
	All  bool `short:"a" help:"Stopped tasks too."`
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints the caller's tasks as a table, with warnings below it.
func (c psCmd) Run(ctx context.Context) error {
	q := url.Values{}
	if c.All {
		q.Set("all", "1")
	}
	var lines []taskLine
	if err := newClient().get(ctx, "/_dhow/tasks", q, &lines); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(lines)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "TASK\tCLUSTER\tDEFINITION\tGROUP\tSTATUS\tHEALTH\tADDRESS\tAGE\tREASON")
	for _, l := range lines {
		status := string(l.Last)
		if l.Desired == cluster.Stopped && l.Last != cluster.Stopped {
			status += "→STOPPED"
		}
		reason := l.Reason
		if len(l.Exit) > 0 {
			reason = strings.TrimSpace(reason + " [" + strings.Join(l.Exit, " ") + "]")
		}
		fmt.Fprintf(w, "%s\t%s\t%s:%d\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID[:min(12, len(l.ID))], l.Cluster, l.Family, l.Revision, l.Group,
			status, l.Health, l.Address, time.Since(l.CreatedAt).Round(time.Second), reason)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	said := map[string]bool{}
	for _, l := range lines {
		for _, warning := range l.Warnings {
			if text := fmt.Sprintf("! %s:%d: %s", l.Family, l.Revision, warning); !said[text] {
				said[text] = true
				fmt.Println(text)
			}
		}
	}
	return nil
}
