package topic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/bus/pattern"
	"github.com/dhowhq/dhow/store"
)

// Whatever queues do, and however often the process dies: what was acknowledged
// reaches every subscriber whose filter lets it through, and nobody else; of a
// FIFO topic in order within its group, whose numbers rise, and what is
// published twice within five minutes once.
func TestNothingIsLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		w.refuse = func(_ string, n int) error { // each third attempt fails
			if n%3 == 0 {
				return errAway
			}
			return nil
		}
		w.start()
		defer func() { w.stop() }()
		plain := w.topic("plain")
		fifo := w.topic("ordered.fifo", fifoTopic, func(t *Topic) {
			if rapid.Bool().Draw(rt, "by group") {
				t.Attributes["FifoThroughputScope"] = "MessageGroup"
			}
		})
		filters := []string{"", `{"k": ["a"]}`, `{"k": [{"anything-but": "a"}]}`}
		type sub struct {
			*Subscription
			queue string
		}
		var subs []sub
		add := func(t *Topic, queue string) {
			filter := rapid.SampledFrom(filters).Draw(rt, "filter")
			subs = append(subs, sub{w.subscribe(t, SQS, queueARN(queue), func(s *Subscription) { s.Filter = filter }), queueARN(queue)})
		}
		for i := range rapid.IntRange(1, 3).Draw(rt, "subscribers") {
			add(plain, fmt.Sprint("plain", i))
			add(fifo, fmt.Sprint("ordered", i, ".fifo"))
		}
		want := map[string]map[string]bool{} // by queue, bodies
		order := map[string][]string{}       // by queue and group
		sequence := map[string]string{}
		n, deaths := 0, 0
		note := func(t *Topic, m Message) {
			for _, s := range subs {
				if s.Topic == t.Name && s.passes(&m) {
					if want[s.queue] == nil {
						want[s.queue] = map[string]bool{}
					}
					want[s.queue][m.Body] = true
					order[s.queue+m.Group] = append(order[s.queue+m.Group], m.Body)
				}
			}
		}
		message := func() Message {
			n++
			return Message{Body: fmt.Sprint(n), Attributes: []Attribute{{Name: "k", Type: "String", Value: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "k")}}}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"publish": func(rt *rapid.T) {
				var list []Message
				for range rapid.IntRange(1, 10).Draw(rt, "messages") {
					list = append(list, message())
				}
				w.publish(plain, slices.Clone(list)...)
				for _, m := range list {
					note(plain, m)
				}
			},
			"publish in order": func(rt *rapid.T) {
				m := message()
				m.Group, m.Dedup = rapid.SampledFrom([]string{"g", "h"}).Draw(rt, "group"), m.Body
				first := w.publish(fifo, m)[0]
				note(fifo, m)
				if first.Sequence <= sequence[m.Group] {
					rt.Errorf("the number %s follows %s", first.Sequence, sequence[m.Group])
				}
				sequence[m.Group] = first.Sequence
				if rapid.Bool().Draw(rt, "die first") {
					w.die()
					deaths++
				}
				if again := w.publish(fifo, m)[0]; again != first {
					rt.Errorf("published again as %v, not %v", again, first)
				}
			},
			"die": func(*rapid.T) {
				w.die()
				deaths++
			},
		})
		w.settle()
		for _, s := range subs {
			got := map[string]bool{}
			byGroup := map[string][]string{}
			w.mu.Lock()
			for _, m := range w.got[s.queue] {
				if !got[m.Body] { // a queue drops what comes twice by its MessageDeduplicationId
					byGroup[m.Group] = append(byGroup[m.Group], m.Body)
				} else if deaths == 0 {
					rt.Errorf("%s got %s twice", s.queue, m.Body)
				}
				got[m.Body] = true
			}
			w.mu.Unlock()
			for b := range want[s.queue] {
				if !got[b] {
					rt.Errorf("%s did not get %s", s.queue, b)
				}
			}
			for b := range got {
				if !want[s.queue][b] {
					rt.Errorf("%s got %s, which its filter %s does not let through", s.queue, b, s.Filter)
				}
			}
			if s.Topic == fifo.Name {
				for g, list := range byGroup {
					if !slices.Equal(list, order[s.queue+g]) {
						rt.Errorf("%s, group %s: %v, want %v", s.queue, g, list, order[s.queue+g])
					}
				}
			}
		}
	})
}

// A subscriber that is away does not delay the others.
func TestSlowSubscriber(t *testing.T) {
	w := newWorld(t)
	hold := make(chan struct{})
	w.refuse = func(queue string, _ int) error {
		if strings.HasSuffix(queue, "slow") {
			w.mu.Unlock()
			<-hold
			w.mu.Lock()
		}
		return nil
	}
	w.start()
	defer func() { w.stop() }()
	top := w.topic("t")
	w.subscribe(top, SQS, queueARN("slow"))
	w.subscribe(top, SQS, queueARN("quick"))
	for i := range 200 {
		w.publish(top, Message{Body: fmt.Sprint(i)})
	}
	for end := time.Now().Add(10 * time.Second); len(w.bodies(queueARN("quick"))) < 200; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the quick one got %d of 200", len(w.bodies(queueARN("quick"))))
		}
	}
	if n := len(w.bodies(queueARN("slow"))); n != 0 {
		t.Errorf("the slow one got %d", n)
	}
	close(hold)
	w.settle()
	if n := len(w.bodies(queueARN("slow"))); n != 200 {
		t.Errorf("the slow one got %d of 200", n)
	}
}

// Subscriptions of a topic that was deleted, and whose name was taken again, get
// nothing of the new one.
func TestOrphans(t *testing.T) {
	w := newWorld(t)
	w.start()
	defer func() { w.stop() }()
	old := w.topic("t")
	w.subscribe(old, SQS, queueARN("old"))
	must(t, w.db.Update(context.Background(), func(tx *store.Tx) error { Topics.Delete(tx, old.RowKey()); return nil }))
	if _, err := w.e.Publish(context.Background(), old.ARN(), Message{Body: "x"}); err != ErrNoTopic {
		t.Errorf("to a topic that is gone: %v", err)
	}
	top := w.topic("t")
	w.subscribe(top, SQS, queueARN("new"))
	w.publish(top, Message{Body: "x"})
	w.settle()
	if len(w.bodies(queueARN("old"))) != 0 || len(w.bodies(queueARN("new"))) != 1 {
		t.Errorf("%v", w.got)
	}
	if c, p := w.e.Counts(top); c != 1 || p != 0 {
		t.Errorf("%d subscriptions are confirmed, %d wait", c, p)
	}
	must(t, w.e.dropOrphans(context.Background(), time.Now().Add(pendingTime+time.Hour)))
	left := 0
	w.db.View(func(r store.Reader) error { left = Subscriptions.Len(r); return nil })
	if left != 1 {
		t.Errorf("%d subscriptions are left", left)
	}
}

// A message whose queue is gone goes to the dead-letter queue at once, as the
// subscription would have got it.
func TestDeadLetter(t *testing.T) {
	w := newWorld(t)
	w.gone[queueARN("q")] = true
	w.start()
	defer func() { w.stop() }()
	top := w.topic("t", func(t *Topic) {
		t.Attributes["SQSFailureFeedbackRoleArn"] = "arn:aws:iam::111111111111:role/x"
	})
	w.subscribe(top, SQS, queueARN("q"), func(s *Subscription) { s.Redrive = `{"deadLetterTargetArn": "` + queueARN("dead") + `"}` })
	w.publish(top, Message{Body: "x", Attributes: []Attribute{{Name: "a", Type: "Number", Value: "1"}}})
	w.settle()
	got := w.got[queueARN("dead")]
	if len(got) != 1 || got[0].Body != "x" || len(got[0].Attributes) != 1 || w.tries[queueARN("q")] != 1 {
		t.Errorf("%+v after %d attempts", got, w.tries[queueARN("q")])
	}
	if len(w.lines) != 1 || !strings.HasPrefix(w.lines[0], "sns/eu-west-1/111111111111/t/Failure ") || !strings.Contains(w.lines[0], `"status":"FAILURE"`) {
		t.Errorf("%q", w.lines)
	}
}

// Messages of a topic with a key are not on disk as they are.
func TestSealed(t *testing.T) {
	for _, key := range []string{"", "alias/aws/sns"} {
		w := newWorld(t)
		hold := make(chan struct{})
		w.refuse = func(string, int) error { w.mu.Unlock(); <-hold; w.mu.Lock(); return nil }
		w.start()
		top := w.topic("t.fifo", fifoTopic, func(t *Topic) { t.Attributes["KmsMasterKeyId"] = key; t.ArchiveDays = 1 })
		w.subscribe(top, SQS, queueARN("q.fifo"))
		w.publish(top, Message{Body: "a secret", Group: "g", Dedup: "d"})
		found := 0
		names, err := w.journal.Names(context.Background(), "")
		must(t, err)
		for _, n := range names {
			l, err := w.journal.Open(context.Background(), n, 1<<40)
			must(t, err)
			for rec, err := range l.Read(context.Background(), 0) {
				must(t, err)
				if bytes.Contains(rec.Data, []byte("a secret")) {
					found++
				}
			}
		}
		if (key == "") != (found == 2) || key != "" && found > 0 {
			t.Errorf("with the key %q the body is in %d records", key, found)
		}
		close(hold)
		w.stop()
	}
}

// What is too large is refused, whoever publishes: rules have events of 1 MiB.
func TestTooLong(t *testing.T) {
	w := newWorld(t)
	w.start()
	defer func() { w.stop() }()
	top := w.topic("t")
	for size, want := range map[int]error{MaxMessage: nil, MaxMessage + 1: ErrTooLong} {
		if _, err := w.e.Publish(t.Context(), top.ARN(), Message{Body: strings.Repeat("b", size)}); !errors.Is(err, want) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// What the automaton of a topic decides is what each filter says by itself.
func TestFiltersAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRoutes()
		top := Topic{Scope: here, Name: "t", ID: "1"}
		r.putTopic(store.Change[Topic]{Key: top.RowKey(), New: &top})
		filters := []string{"", `{"a": ["x"]}`, `{"a": [{"prefix": "y"}]}`, `{"a": [{"exists": false}]}`, `{"n": [{"numeric": [">", 5]}]}`, `{"a": [{"anything-but": ["x"]}], "n": [{"exists": true}]}`}
		subs := map[string]Subscription{}
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				s := Subscription{Scope: here, Topic: "t", TopicID: "1", ID: rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(rt, "id"), Protocol: SQS,
					Filter: rapid.SampledFrom(filters).Draw(rt, "filter"), Pending: rapid.IntRange(0, 4).Draw(rt, "pending") == 0}
				if rapid.Bool().Draw(rt, "body") {
					s.FilterScope = string(pattern.Body)
				}
				ch := store.Change[Subscription]{Key: s.RowKey(), New: &s}
				if old, ok := subs[s.ID]; ok {
					ch.Old = &old
				}
				r.putSubscription(ch)
				subs[s.ID] = s
			},
			"delete": func(rt *rapid.T) {
				id := rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(rt, "id")
				if old, ok := subs[id]; ok {
					r.putSubscription(store.Change[Subscription]{Key: old.RowKey(), Old: &old})
					delete(subs, id)
				}
			},
			"publish": func(rt *rapid.T) {
				m := Message{Body: rapid.SampledFrom([]string{"text", `{"a": "x", "n": 7}`, `{"a": ["yy"]}`, `[]`}).Draw(rt, "body")}
				if rapid.Bool().Draw(rt, "a") {
					m.Attributes = append(m.Attributes, Attribute{Name: "a", Type: "String", Value: rapid.SampledFrom([]string{"x", "yz"}).Draw(rt, "value")})
				}
				if rapid.Bool().Draw(rt, "n") {
					m.Attributes = append(m.Attributes, Attribute{Name: "n", Type: "Number", Value: rapid.SampledFrom([]string{"1", "9"}).Draw(rt, "number")})
				}
				got := r.lanes(top.RowKey(), &m)
				var want []string
				for _, s := range subs {
					if !s.Pending && s.passes(&m) {
						want = append(want, s.ARN())
					}
				}
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					rt.Errorf("%v, want %v", got, want)
				}
			},
		})
	})
}

func FuzzRecords(f *testing.F) {
	key := make([]byte, 32)
	whole, err := encode(&Message{Body: "x", ID: "1"}, key)
	must(f, err)
	open, err := encode(&Message{Body: "x", ID: "1"}, nil)
	must(f, err)
	f.Add(whole)
	f.Add(open)
	f.Add(encodePublication([32]byte{1}, publication{time.UnixMilli(5).UTC(), Published{"id", "10000000000000000001"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decode(b, key); err == nil {
			again, err := encode(&m, nil)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := decode(again, nil); err != nil || n.Body != m.Body || n.ID != m.ID {
				t.Errorf("%+v becomes %+v, %v", m, n, err)
			}
		}
		if k, p, err := decodePublication(b); err == nil {
			if k2, p2, err := decodePublication(encodePublication(k, p)); err != nil || k2 != k || p2 != p {
				t.Errorf("%v becomes %v, %v", p, p2, err)
			}
		}
	})
}
