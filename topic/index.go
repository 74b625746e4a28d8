package topic

import (
	"strings"
	"sync"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/bus/pattern"
	"github.com/dhowhq/dhow/store"
)

// routes are the topics with who subscribed, in memory: the store's rows as
// publications need them.
type routes struct {
	mu   sync.RWMutex
	tops map[string]*route // by Topic.RowKey
	subs map[string]*member
}

// route is a topic with its subscribers.
type route struct {
	topic  *Topic // nil while there is none
	all    map[string]*member
	always map[string]*member    // without a filter
	attrs  *pattern.Set[*member] // filters on attributes
	bodies *pattern.Set[*member] // filters on bodies
}

// member is a subscription that may get messages.
type member struct {
	Subscription
	lane   string
	policy delivery.Policy
	http   HTTPPolicy
}

func newRoutes() *routes { return &routes{tops: map[string]*route{}, subs: map[string]*member{}} }

func (r *routes) route(key string) *route {
	t := r.tops[key]
	if t == nil {
		t = &route{all: map[string]*member{}, always: map[string]*member{}, attrs: pattern.NewSet[*member](), bodies: pattern.NewSet[*member]()}
		r.tops[key] = t
	}
	return t
}

// putTopic takes a change of a topic.
func (r *routes) putTopic(ch store.Change[Topic]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.route(ch.Key)
	t.topic = ch.New
	for _, m := range t.all {
		m.prepare(t.topic)
	}
	r.prune(ch.Key, t)
}

// putSubscription takes a change of a subscription.
func (r *routes) putSubscription(ch store.Change[Subscription]) {
	s := ch.New
	if s == nil {
		s = ch.Old
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := s.Scope.Key(s.Topic)
	t := r.route(key)
	if old := t.all[s.ID]; old != nil {
		delete(t.all, s.ID)
		delete(t.always, s.ID)
		delete(r.subs, old.lane)
		t.attrs.Delete(old)
		t.bodies.Delete(old)
	}
	if ch.New != nil && !s.Cancelled {
		m := &member{Subscription: *s, lane: s.ARN()}
		m.prepare(t.topic)
		t.all[s.ID] = m
		r.subs[m.lane] = m
		if !s.Pending {
			t.admit(m)
		}
	}
	r.prune(key, t)
}

// admit files a member by its filter.
func (t *route) admit(m *member) {
	if m.Filter == "" {
		t.always[m.ID] = m
		return
	}
	scope, set := pattern.Attributes, t.attrs
	if m.FilterScope == string(pattern.Body) {
		scope, set = pattern.Body, t.bodies
	}
	if p, err := pattern.ParseFilter(m.Filter, scope); err == nil { // checked when it was set
		set.Put(m, p)
	}
}

func (r *routes) prune(key string, t *route) {
	if t.topic == nil && len(t.all) == 0 {
		delete(r.tops, key)
	}
}

// prepare finds how the member is served.
func (m *member) prepare(t *Topic) {
	switch m.Protocol {
	case HTTP, HTTPS:
		def := ""
		if t != nil {
			def = t.Attributes["DeliveryPolicy"]
		}
		m.http, _ = EffectivePolicy(def, m.Delivery) // checked when it was set
		m.policy = m.http.policy()
	case SQS, Lambda:
		m.policy = managed.policy(24 * 24 * time.Hour)
	default:
		m.policy = outside.policy(7 * time.Hour)
	}
	m.policy.Ordered = t != nil && t.FIFO && strings.HasSuffix(m.Endpoint, ".fifo")
}

// live reports whether the member is of the topic as it is.
func (m *member) live(t *Topic) bool { return t != nil && m.TopicID == t.ID }

// find returns the member of a lane and its topic.
func (r *routes) find(lane string) (*member, *Topic, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	m := r.subs[lane]
	if m == nil {
		return nil, nil, false
	}
	t := r.tops[m.Scope.Key(m.Topic)].topic
	return m, t, m.live(t)
}

// topic returns a topic by its row's key.
func (r *routes) topic(key string) (*Topic, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t := r.tops[key]
	if t == nil || t.topic == nil {
		return nil, false
	}
	return t.topic, true
}

// lanes are the lanes of who gets a message of a topic now.
func (r *routes) lanes(key string, msg *Message) (lanes []string) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t := r.tops[key]
	if t == nil || t.topic == nil {
		return nil
	}
	add := func(m *member) {
		if m.live(t.topic) && !m.replays(msg) {
			lanes = append(lanes, m.lane)
		}
	}
	for _, m := range t.always {
		add(m)
	}
	var found []*member
	if t.attrs.Len() > 0 {
		found, _ = t.attrs.Match(pattern.AttributesEvent(filterAttributes(msg.Attributes)), found)
	}
	if t.bodies.Len() > 0 {
		found, _ = t.bodies.Match([]byte(msg.Body), found) // what is no JSON object matches none
	}
	for _, m := range found {
		add(m)
	}
	return lanes
}

// passes reports whether a subscription's filter lets a message through.
func (s *Subscription) passes(m *Message) bool {
	if s.Filter == "" {
		return true
	}
	scope, event := pattern.Attributes, []byte(m.Body)
	if s.FilterScope == string(pattern.Body) {
		scope = pattern.Body
	} else {
		event = pattern.AttributesEvent(filterAttributes(m.Attributes))
	}
	p, err := pattern.ParseFilter(s.Filter, scope)
	if err != nil {
		return false
	}
	ok, err := p.Match(event)
	return err == nil && ok
}

func filterAttributes(list []Attribute) []pattern.Attribute {
	out := make([]pattern.Attribute, len(list))
	for i, a := range list {
		out[i] = pattern.Attribute{Name: a.Name, Type: a.Type, Value: a.Value}
	}
	return out
}

// counts are the numbers of a topic's subscriptions.
func (r *routes) counts(key string) (confirmed, pending int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t := r.tops[key]
	if t == nil {
		return 0, 0
	}
	for _, m := range t.all {
		switch {
		case !m.live(t.topic):
		case m.Pending:
			pending++
		default:
			confirmed++
		}
	}
	return confirmed, pending
}

// Filters is the number of a topic's filter policies.
func (e *Engine) Filters(t *Topic) int {
	e.routes.mu.RLock()
	defer e.routes.mu.RUnlock()
	r := e.routes.tops[t.RowKey()]
	if r == nil {
		return 0
	}
	return r.attrs.Len() + r.bodies.Len()
}
