package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract/broker"
	"github.com/dhowhq/dhow/logstore"
	"github.com/dhowhq/dhow/queue"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/topic"
)

// topicConfig joins topics to queues, functions and logs.
func (p *platform) topicConfig() topic.Config {
	return topic.Config{DB: p.db, Journal: p.journal, Log: p.log, Queue: p.sendToQueue, Status: p.logStatus,
		Function: func(s cluster.Scope, name string) (u string, ok bool) {
			p.db.View(func(r store.Reader) error {
				f, found := bus.Functions.Get(r, s.Key(name))
				u, ok = f.URL, found
				return nil
			})
			return u, ok
		},
		Base: func() string { return p.url }}
}

// sendToQueue takes a topic's message to a queue.
func (p *platform) sendToQueue(ctx context.Context, queueARN string, m topic.QueueMessage) error {
	q, err := p.queues.QueueByARN(queueARN)
	if err != nil {
		return delivery.Permanent("", "the queue %s does not exist", queueARN)
	}
	const service = "sns.amazonaws.com"
	if err := (messenger{service: service, source: m.Topic}).refused(queueReceiver(&q.Definition)); err != nil {
		return &delivery.Error{Permanent: true, Err: err}
	}
	out := queue.Message{Body: m.Body, Trace: m.Trace, Group: m.Group, Dedup: m.Dedup, Sender: service}
	for _, a := range m.Attributes {
		if out.Attributes == nil {
			out.Attributes = map[string]queue.Attribute{}
		}
		out.Attributes[a.Name] = queue.Attribute{Type: a.Type, String: a.Value, Binary: a.Binary}
	}
	gate := p.queueGate()
	if m.Unchecked {
		gate.Contracts = nil
		explain(&out, m.Why)
	}
	sent, err := gate.Send(ctx, q, broker.Sender{Name: m.Topic, Service: true}, out)
	if err == nil {
		err = sent[0].Err
	}
	if refused := notOfSchema(err); refused != nil {
		return refused
	}
	for _, never := range []error{queue.ErrNoQueue, queue.ErrTooLarge, queue.ErrEmpty, queue.ErrCharacters, queue.ErrNoGroup, queue.ErrNoDedup, queue.ErrDedup} {
		if errors.Is(err, never) {
			return &delivery.Error{Permanent: true, Err: err}
		}
	}
	return err
}

// logStatus keeps a line of a delivery status log, in a stream a day.
func (p *platform) logStatus(ctx context.Context, s cluster.Scope, group, line string) error {
	now := time.Now()
	stream := now.UTC().Format("2006/01/02")
	if err := p.logstore.Ensure(ctx, s, group, stream, true); err != nil {
		return err
	}
	return p.logstore.Write(ctx, s, group, stream, []logstore.Event{{Timestamp: now.UnixMilli(), Ingestion: now.UnixMilli(), Message: line}})
}

// showOutbox answers GET /_dhow/outbox: the letters of the caller's account, one
// JSON line each; with follow those that come, too.
func (p *platform) showOutbox(w http.ResponseWriter, r *http.Request) {
	account := p.callScope(r).Account
	follow := r.URL.Query().Get("follow") != ""
	from, _ := strconv.ParseUint(r.URL.Query().Get("from"), 10, 64)
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for {
		letters, err := p.topics.Outbox(r.Context(), account, from)
		if err != nil {
			http.Error(w, "the outbox cannot be read: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		for _, l := range letters {
			if out.Encode(l) != nil {
				return
			}
			from = l.Seq + 1
		}
		if !follow {
			return
		}
		http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
}

var number = regexp.MustCompile(`^\+[1-9][0-9]{4,15}$`)

// optOut answers POST /_dhow/outbox/optout/NUMBER: it stands for the word STOP
// that somebody sends back.
func (p *platform) optOut(w http.ResponseWriter, r *http.Request) {
	o := topic.OptOut{Scope: p.callScope(r), Number: r.PathValue("number"), At: time.Now().UTC()}
	if !number.MatchString(o.Number) {
		http.Error(w, "a phone number has the form +15551234567", http.StatusBadRequest)
		return
	}
	if err := p.db.Update(r.Context(), func(tx *store.Tx) error { return topic.OptOuts.Put(tx, o) }); err != nil {
		http.Error(w, "the state cannot be written", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

type outboxCmd struct {
	Follow bool   `short:"f" help:"Go on with what comes."`
	JSON   bool   `name:"json" help:"Print JSON, a line each."`
	OptOut string `placeholder:"NUMBER" help:"Have a phone number opt out, as by answering STOP, and print nothing."`
}

// Run prints the outbox.
func (c outboxCmd) Run(ctx context.Context) error {
	if c.OptOut != "" {
		res, err := newClient().do(ctx, http.MethodPost, "/_dhow/outbox/optout/"+url.PathEscape(c.OptOut), nil)
		if err != nil {
			return err
		}
		return res.Body.Close()
	}
	q := url.Values{}
	if c.Follow {
		q.Set("follow", "1")
	}
	return newClient().lines(ctx, "/_dhow/outbox", q, nil, func(line []byte) error {
		if c.JSON {
			_, err := fmt.Printf("%s\n", line)
			return err
		}
		var l topic.Letter
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		return printLetter(l)
	})
}

func printLetter(l topic.Letter) error {
	head := fmt.Sprintf("%s  %s  to %s", l.Time.Local().Format(time.DateTime), l.Protocol, l.To)
	if l.From != "" {
		head += "  from " + l.From
	}
	if l.Subject != "" {
		head += "\n    " + l.Subject
	}
	_, err := fmt.Fprintf(os.Stdout, "%s\n    %s\n", head, strings.ReplaceAll(strings.TrimRight(l.Body, "\n"), "\n", "\n    "))
	return err
}
