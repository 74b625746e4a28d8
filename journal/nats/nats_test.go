package nats_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/journaltest"
	"github.com/dhowhq/dhow/journal/nats"
	"github.com/dhowhq/dhow/journal/nats/natstest"
)

// place is a stream on a server.
type place struct {
	url    string
	stream string
	n      int
}

func (p place) Open() (journal.Journal, error) {
	return nats.Open(p.url, nats.Options{Stream: p.stream, Replicas: p.n})
}

func (p place) Kill(j journal.Journal) { j.Close() }

func TestContract(t *testing.T) {
	s := natstest.Server(t, nil)
	n := 0
	journaltest.Run(t, func(*testing.T) journaltest.Place {
		n++
		return place{url: s.ClientURL(), stream: fmt.Sprint("J", n)}
	})
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*server.Options)
		words  string
	}{
		{"no JetStream", func(o *server.Options) { o.JetStream = false }, "JetStream is off there"},
		{"small messages", func(o *server.Options) { o.MaxPayload = 1 << 20 }, "set max_payload to 4MB"},
	} {
		_, err := nats.Open(natstest.Server(t, c.change).ClientURL(), nats.Options{})
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %q", c.what, err, c.words)
		}
	}
	if _, err := nats.Open("nats://127.0.0.1:1", nats.Options{}); err == nil || !strings.Contains(err.Error(), "no NATS server answers at nats://127.0.0.1:1") {
		t.Errorf("nobody there: %v", err)
	}
}
