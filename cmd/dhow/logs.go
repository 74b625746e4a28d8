package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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
	groups := p.logsOf(p.callScope(r), r.PathValue("name"))
	if len(groups) == 0 {
		http.Error(w, "no service or task "+r.PathValue("name")+" of yours writes to a log group", http.StatusNotFound)
		return
	}
	q := r.URL.Query()
	q.Set("group", groups[0].group)
	q.Set("stream", groups[0].prefix)
	r.URL.RawQuery = q.Encode()
	p.logstore.Handler(p.callScope).ServeHTTP(w, r)
}

// logPlace is where a container's lines go.
type logPlace struct{ group, prefix string }

// logsOf finds the log groups of a service, or of tasks whose id begins with
// name, newest first.
func (p *platform) logsOf(s cluster.Scope, name string) (places []logPlace) {
	p.db.View(func(r store.Reader) error {
		var newest time.Time
		for t := range cluster.Tasks.List(r, s.Prefix()) {
			task := strings.HasPrefix(t.ID, name) && name != ""
			if !task && t.Service != name || t.CreatedAt.Before(newest) {
				continue
			}
			d, ok := cluster.TaskDefinitions.Get(r, cluster.TaskDefinitionKey(t.Scope, t.Family, t.Revision))
			if !ok {
				continue
			}
			for _, c := range d.Def.ContainerDefinitions {
				if c.LogConfiguration == nil || c.LogConfiguration.Options["awslogs-group"] == "" {
					continue
				}
				place := logPlace{group: c.LogConfiguration.Options["awslogs-group"]}
				if prefix := c.LogConfiguration.Options["awslogs-stream-prefix"]; prefix != "" {
					place.prefix = prefix + "/" + *c.Name + "/"
					if task {
						place.prefix += t.ID
					}
				}
				newest = t.CreatedAt
				places = append([]logPlace{place}, places...)
				break
			}
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
		q.Set("stream", c.Stream)
	}
	return newClient().lines(ctx, path, q, func(line []byte) error {
		var l logstore.Line
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		source := filepath.Base(l.Stream)
		_, err := fmt.Printf("%s %-8.8s %s\n", l.Time.Local().Format("15:04:05.000"), source, l.Message)
		return err
	})
}
