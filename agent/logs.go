package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/agent/logtail"
)

// LogEvent is one entry of a log stream.
type LogEvent = logtail.Event

// ErrLogRefused is what Logs.Write wraps when the events will never be taken,
// as when their group was deleted: they are dropped.
var ErrLogRefused = logtail.ErrRefused

// LogStream is where a container's output goes.
type LogStream struct {
	Account, Region string
	Group, Stream   string
	CreateGroup     bool // make the group if it is missing
}

// Logs is a log service.
type Logs interface {
	// Open makes the stream if it is missing. An error keeps the container
	// from starting; its text is shown to the user.
	Open(ctx context.Context, s LogStream) error
	// Write appends events, in order: at most 10,000 and 1 MiB. It is called
	// again with the same events after an error that does not wrap
	// ErrLogRefused.
	Write(ctx context.Context, s LogStream, events []LogEvent) error
}

const (
	keepLocal    = 16 << 20 // of the output of a container without a log driver
	keepLocalFor = time.Hour
)

// LogPath is the file with a container's output, below the agent's data
// directory. Read it with logtail.Open. For containers with the awslogs driver
// it holds only what the log service has not taken yet.
func LogPath(dataDir, task, container string) string {
	return filepath.Join(dataDir, "logs", containerID(task, container)+".log")
}

// logPath is where c's output goes, "" for nowhere.
func (t *task) logPath(c *types.ContainerDefinition) string {
	if l := c.LogConfiguration; l != nil && string(l.LogDriver) == "none" {
		return ""
	}
	return LogPath(t.eng.cfg.DataDir, t.id, deref(c.Name))
}

// openLog checks c's log configuration and makes its stream.
func (t *task) openLog(ctx context.Context, c *types.ContainerDefinition) error {
	l, err := t.logOptions(c)
	if err != nil || l == nil {
		return err
	}
	if err := t.eng.cfg.Logs.Open(ctx, l.stream); err != nil {
		return fmt.Errorf("failed to validate logger args: %w", err)
	}
	return nil
}

// followLog begins to take c's output.
func (t *task) followLog(c *types.ContainerDefinition) {
	path := t.logPath(c)
	if path == "" {
		return
	}
	l, err := t.logOptions(c)
	switch {
	case err != nil: // said at the start
	case l == nil:
		t.eng.tails.Add(logtail.File{Path: path, Keep: keepLocal})
	default:
		write := func(ctx context.Context, es []LogEvent) error { return t.eng.cfg.Logs.Write(ctx, l.stream, es) }
		t.eng.tails.Add(logtail.File{Path: path, Offset: path + ".offset", Sink: write, Split: l.split})
	}
}

// awslogs is a container's awslogs configuration.
type awslogs struct {
	stream LogStream
	split  logtail.Split
}

// logOptions reads c's log configuration: nil if its output stays in a file.
func (t *task) logOptions(c *types.ContainerDefinition) (*awslogs, error) {
	l := c.LogConfiguration
	if l == nil {
		return nil, nil
	}
	switch string(l.LogDriver) {
	case "awslogs":
	case "json-file", "none":
		return nil, nil
	default:
		return nil, fmt.Errorf("log driver %q is not on this node; it has awslogs, json-file and none", l.LogDriver)
	}
	if t.eng.cfg.Logs == nil {
		return nil, fmt.Errorf("log driver awslogs: this node has no log service")
	}
	name := deref(c.Name)
	a := &awslogs{stream: LogStream{Account: t.msg.Dhow.Account, Region: t.msg.Dhow.Region, Stream: containerID(t.id, name)}}
	for k, v := range l.Options {
		switch k {
		case "awslogs-group":
			a.stream.Group = v
		case "awslogs-region":
			a.stream.Region = v
		case "awslogs-stream-prefix":
			a.stream.Stream = v + "/" + name + "/" + t.id
		case "awslogs-create-group":
			a.stream.CreateGroup = v == "true"
		case "awslogs-multiline-pattern", "awslogs-datetime-format":
			pattern := v
			if k == "awslogs-datetime-format" {
				pattern = datetimePattern(v)
			}
			re, err := regexp.Compile(pattern)
			if err != nil {
				return nil, fmt.Errorf("log option %s: %q is no pattern that can be used: %w", k, v, err)
			}
			a.split = re.Match
		case "mode", "max-buffer-size":
			// Output goes to a file: a container never waits for the service,
			// and nothing is dropped, whichever mode was asked for.
		default:
			return nil, fmt.Errorf("unknown log opt '%s' for awslogs log driver", k)
		}
	}
	if s := l.Options["awslogs-stream"]; s != "" {
		a.stream.Stream = s
	}
	if a.stream.Group == "" {
		return nil, fmt.Errorf("must specify a value for log opt 'awslogs-group'")
	}
	return a, nil
}

// datetimePattern turns a strftime format into a regular expression that finds
// such a time anywhere in a line.
func datetimePattern(format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteString(regexp.QuoteMeta(format[i : i+1]))
			continue
		}
		i++
		p, ok := datetimeCodes[format[i]]
		if !ok {
			p = regexp.QuoteMeta(format[i : i+1])
		}
		b.WriteString(p)
	}
	return b.String()
}

// datetimeCodes are the codes that the awslogs driver's documentation names.
var datetimeCodes = map[byte]string{
	'A': `(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day`, 'a': `(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)`,
	'B': `(?:January|February|March|April|May|June|July|August|September|October|November|December)`,
	'b': `(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)`,
	'Y': `\d{4}`, 'y': `\d{2}`, 'm': `\d{1,2}`, 'd': `\d{1,2}`, 'j': `\d{1,3}`, 'w': `[0-6]`,
	'H': `\d{1,2}`, 'I': `\d{1,2}`, 'M': `\d{2}`, 'S': `\d{2}`, 'L': `\d{3}`, 'f': `\d{1,6}`,
	'p': `[AP]M`, 'Z': `[A-Z]{3,4}`, 'z': `[+-]\d{4}`, '%': `%`,
}

// drainLogs waits, at most for d, until what the task's ended containers wrote
// has been taken.
func (t *task) drainLogs(ctx context.Context, d time.Duration) {
	if t.def == nil {
		return
	}
	limit := time.NewTimer(d)
	defer limit.Stop()
	for i := range t.def.ContainerDefinitions {
		path := t.logPath(&t.def.ContainerDefinitions[i])
		if path == "" {
			continue
		}
		select {
		case <-t.eng.tails.Finish(path):
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// dropLogs removes the output that a log service has taken. Output that stays
// on the node is kept for a while.
func (t *task) dropLogs() {
	if t.def == nil {
		return
	}
	for i := range t.def.ContainerDefinitions {
		c := &t.def.ContainerDefinitions[i]
		path := t.logPath(c)
		if path == "" {
			continue
		}
		t.eng.tails.Drop(path)
		if l := c.LogConfiguration; l != nil && string(l.LogDriver) == "awslogs" {
			os.Remove(path)
			os.Remove(path + ".offset")
		}
	}
	t.eng.pruneLogs(time.Now())
}

// pruneEvery is how often output of ended tasks is looked through, at most.
const pruneEvery = 5 * time.Minute

// pruneLogs removes the output of tasks that ended long ago.
func (e *engine) pruneLogs(now time.Time) {
	e.mu.Lock()
	due := now.Sub(e.pruned) >= pruneEvery
	if due {
		e.pruned = now
	}
	e.mu.Unlock()
	if !due {
		return
	}
	dir := filepath.Join(e.cfg.DataDir, "logs")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, f := range entries {
		task, _, _ := strings.Cut(f.Name(), "-")
		st, err := f.Info()
		if err != nil || e.get(task) != nil || now.Sub(st.ModTime()) < keepLocalFor {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, f.Name())); err != nil {
			e.log.Warn("cannot remove old output", "file", f.Name(), "err", err)
		}
	}
}
