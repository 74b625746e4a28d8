package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dhowhq/dhow/agent"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/logstore"
	"github.com/dhowhq/dhow/store"
)

// taskLogs is the log store as the agent sees it: where the awslogs driver
// writes.
type taskLogs struct{ store *logstore.Store }

func (l taskLogs) Open(ctx context.Context, s agent.LogStream) error {
	err := l.store.Ensure(ctx, cluster.Scope{Account: s.Account, Region: s.Region}, s.Group, s.Stream, s.CreateGroup)
	if errors.Is(err, logstore.ErrNoGroup) {
		return fmt.Errorf("failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. (log group %s in %s)", s.Group, s.Region)
	}
	return err
}

func (l taskLogs) Write(ctx context.Context, s agent.LogStream, events []agent.LogEvent) error {
	out := make([]logstore.Event, len(events))
	for i, e := range events {
		out[i] = logstore.Event{Timestamp: e.Time.UnixMilli(), Message: e.Message}
	}
	err := l.store.Write(ctx, cluster.Scope{Account: s.Account, Region: s.Region}, s.Group, s.Stream, out)
	if errors.Is(err, logstore.ErrNoGroup) || errors.Is(err, logstore.ErrNoStream) {
		// Deleted while the container runs: as at AWS, what it writes is lost.
		return fmt.Errorf("%w: %w", agent.ErrLogRefused, err)
	}
	return err
}

// followTask answers GET /_dhow/logs/of/NAME: the awslogs streams of a service
// or a task, by the name of the one or a part of the id of the other.
func (p *platform) followTask(w http.ResponseWriter, r *http.Request) {
	places := p.logsOf(p.callScope(r), r.PathValue("name"))
	if len(places) == 0 {
		http.Error(w, "no service or task "+r.PathValue("name")+" of yours writes to a log group", http.StatusNotFound)
		return
	}
	q := r.URL.Query()
	q.Set("group", places[0].group)
	for _, at := range places {
		if at.group == places[0].group {
			q.Add("stream", at.prefix)
		} else {
			w.Header().Add(otherGroup, at.group)
		}
	}
	r.URL.RawQuery = q.Encode()
	p.logstore.Handler(p.callScope).ServeHTTP(w, r)
}

// otherGroup is the header that names groups which one answer does not cover.
const otherGroup = "X-Dhow-Other-Log-Group"

// logPlace is where a container's lines go: streams of a group that begin so.
type logPlace struct{ group, prefix string }

// logsOf finds where the containers write of the newest task that belongs to
// the service called name, or whose id begins with name.
func (p *platform) logsOf(s cluster.Scope, name string) (places []logPlace) {
	p.db.View(func(r store.Reader) error {
		var newest cluster.Task
		for t := range cluster.Tasks.List(r, s.Prefix()) {
			if (t.Service == name || strings.HasPrefix(t.ID, name)) && t.CreatedAt.After(newest.CreatedAt) {
				newest = t
			}
		}
		d, ok := cluster.TaskDefinitions.Get(r, cluster.TaskDefinitionKey(newest.Scope, newest.Family, newest.Revision))
		if !ok {
			return nil
		}
		for _, c := range d.Def.ContainerDefinitions {
			if c.LogConfiguration == nil || c.LogConfiguration.Options["awslogs-group"] == "" {
				continue
			}
			at := logPlace{group: c.LogConfiguration.Options["awslogs-group"]}
			if prefix := c.LogConfiguration.Options["awslogs-stream-prefix"]; prefix != "" {
				at.prefix = prefix + "/" + *c.Name + "/"
				if newest.Service != name {
					at.prefix += newest.ID
				}
			}
			places = append(places, at)
		}
		return nil
	})
	return places
}

type logsCmd struct {
	Of     string        `arg:"" help:"A service, the beginning of a task's id, or a log group, which begins with /."`
	Follow bool          `short:"f" help:"Go on with lines as they come."`
	Since  time.Duration `help:"Only lines that are younger: 10m, 24h."`
	Stream string        `help:"Of a log group: only streams whose names begin so."`
}

// Run prints log lines, each behind its time and its stream's last part.
func (c logsCmd) Run(ctx context.Context) error {
	q := url.Values{}
	if c.Follow {
		q.Set("follow", "1")
	}
	if c.Since > 0 {
		q.Set("since", fmt.Sprint(c.Since.Seconds()))
	}
	path := "/_dhow/logs/of/" + url.PathEscape(c.Of)
	if strings.HasPrefix(c.Of, "/") {
		path = "/_dhow/logs"
		q.Set("group", c.Of)
		if c.Stream != "" {
			q.Set("stream", c.Stream)
		}
	}
	others := func(h http.Header) {
		for _, group := range h.Values(otherGroup) {
			fmt.Fprintf(os.Stderr, "a container of it writes to %s: dhow logs %[1]s\n", group)
		}
	}
	return newClient().lines(ctx, path, q, others, func(line []byte) error {
		var l logstore.Line
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		source := filepath.Base(l.Stream)
		_, err := fmt.Printf("%s %-8.8s %s\n", l.Time.Local().Format("15:04:05.000"), source, l.Message)
		return err
	})
}
