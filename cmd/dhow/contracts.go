package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract/broker"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/contract/wire"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/queue"
	"github.com/dhowhq/dhow/services/events"
	"github.com/dhowhq/dhow/services/kinesis"
	"github.com/dhowhq/dhow/services/sns"
	"github.com/dhowhq/dhow/services/sqs"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/stream"
	"github.com/dhowhq/dhow/topic"
)

// brokerConfig joins the checks of messages to what has tags and takes dead
// letters, and to the policies of those who send.
func (p *platform) brokerConfig() broker.Config {
	return broker.Config{DB: p.db, Registry: p.schemas, Log: p.log, Tags: p.tagsOf, Allow: awsapi.Allow,
		Queue: func(arn string) bool { _, err := p.queues.QueueByARN(arn); return err == nil }}
}

// keepVersions is registry.Config.Guard: what messages came in lately is not
// deleted.
func (p *platform) keepVersions(ctx context.Context, list []registry.Version) error {
	return p.broker.Guard(ctx, list)
}

// holdVersions is registry.Config.Hold: nor is what something that runs declares.
func (p *platform) holdVersions(tx *store.Tx, list []registry.Version) error {
	return p.impact.Guard(tx, list)
}

// mayRead asks whether the caller may read a schema's versions.
func mayRead(ctx context.Context, n registry.Name) error {
	return awsapi.Allow(ctx, broker.Action, n.ARNs()...)
}

func (p *platform) queueGate() sqs.Gate { return sqs.Gate{Queues: p.queues, Contracts: p.broker} }

func (p *platform) topicGate() sns.Gate {
	return sns.Gate{Topics: p.topics, Contracts: p.broker, Bury: p.queueGate().Bury}
}

func (p *platform) streamGate() kinesis.Gate {
	return kinesis.Gate{Streams: p.streams, Contracts: p.broker, Bury: p.queueGate().Bury}
}

func (p *platform) busGate() events.Gate {
	return events.Gate{Contracts: p.broker, Bury: p.queueGate().Bury}
}

// admit is bus.Config.Admit.
func (p *platform) admit(ctx context.Context, b *bus.Bus, event []byte, ruleARN string) (bool, error) {
	taken, err := p.busGate().AdmitFrom(ctx, b, event, ruleARN)
	if refused := notOfSchema(err); refused != nil {
		return taken, refused
	}
	return taken, err
}

// sender is a messenger as the check of a message sees it.
func (m messenger) sender() broker.Sender { return broker.Sender{Name: m.source, Service: true} }

// notOfSchema is the end of a delivery whose receiver's schema does not take the
// message, nil for other errors.
func notOfSchema(err error) error {
	var one *broker.Refusal
	var records *kinesis.Refused
	if errors.As(err, &one) || errors.As(err, &records) {
		return &delivery.Error{Code: broker.Code, Permanent: true, Err: err}
	}
	return nil
}

// explain tells a topic's dead letter why it is one, where that is a schema.
func explain(m *queue.Message, why *delivery.Failure) {
	if why == nil || why.Code != broker.Code {
		return
	}
	if m.Attributes == nil {
		m.Attributes = map[string]queue.Attribute{}
	}
	m.Attributes["ERROR_CODE"] = queue.Attribute{Type: "String", String: why.Code}
	m.Attributes["ERROR_MESSAGE"] = queue.Attribute{Type: "String", String: why.Message}
}

// tagsOf are the tags of the queue, topic, stream or bus of an ARN.
func (p *platform) tagsOf(s string) (tags map[string]string, ok bool) {
	a, err := arn.Parse(s)
	if err != nil {
		return nil, false
	}
	scope := cluster.Scope{Account: a.Account, Region: a.Region}
	_, name := a.Type()
	p.db.View(func(r store.Reader) error {
		switch a.Service {
		case "sqs":
			q, err := p.queues.QueueByARN(s)
			if ok = err == nil; ok {
				tags = q.Tags
			}
		case "sns":
			var t topic.Topic
			t, ok = topic.Find(r, scope, a.Resource)
			tags = t.Tags
		case "kinesis":
			var st stream.Stream
			st, ok = stream.Streams.Get(r, scope.Key(name))
			tags = st.Tags
		case "events":
			var b bus.Bus
			b, ok = bus.FindBus(r, scope, name)
			tags = b.Tags
		}
		return nil
	})
	return tags, ok
}

// schemaName is the schema that a request's parameter of that name means:
// REGISTRY/NAME, its ARN, or NAME in the default registry. Where there is none it
// has answered, and ok is false.
func (p *platform) schemaName(w http.ResponseWriter, r *http.Request) (n registry.Name, ok bool) {
	said := r.URL.Query().Get("schema")
	n = registry.Name{Scope: p.callScope(r), Registry: registry.Default, Schema: said}
	if strings.ContainsAny(said, "/:") {
		n.Registry, n.Schema, ok = wire.SplitName(said)
	} else {
		ok = said != ""
	}
	if !ok {
		http.Error(w, "say which schema: ?schema=REGISTRY/NAME", http.StatusBadRequest)
	}
	return n, ok
}

// noSchema answers that the registry does not have a schema.
func noSchema(w http.ResponseWriter, n registry.Name) {
	http.Error(w, fmt.Sprintf("the registry has no schema %.300s", n.Registry+"/"+n.Schema), http.StatusNotFound)
}

// usages is what GET /_dhow/schema/usage answers.
type usages struct{ Usage []broker.Usage }

// showUsage answers GET /_dhow/schema/usage?schema=REGISTRY/NAME: who sent what
// version of the schema where.
func (p *platform) showUsage(w http.ResponseWriter, r *http.Request) {
	n, ok := p.schemaName(w, r)
	if !ok || !p.permitted(w, r, "glue:ListSchemaVersions", n.ARNs()...) {
		return
	}
	list, err := p.broker.Usage(r.Context(), n)
	if err != nil {
		http.Error(w, "the counts cannot be read: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	if _, err := p.schemas.Schema(n); err != nil && len(list) == 0 {
		noSchema(w, n)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(usages{append([]broker.Usage{}, list...)})
}

// contractCounts shows what the checks of messages count.
type contractCounts struct {
	*broker.Engine
	desc *prometheus.Desc
}

func (m *metrics) watchContracts(b *broker.Engine) {
	m.registry.MustRegister(contractCounts{b, prometheus.NewDesc("dhow_schema_messages_total",
		"Messages to resources that are tagged with a schema, by the version that they are of (none: \"\") and whether they are of it.", []string{"schema", "version", "resource", "outcome"}, nil)})
}

// Describe implements prometheus.Collector.
func (c contractCounts) Describe(out chan<- *prometheus.Desc) { out <- c.desc }

// Collect implements prometheus.Collector.
func (c contractCounts) Collect(out chan<- prometheus.Metric) {
	for _, n := range c.Counts() {
		out <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(n.Accepted), n.Schema, n.Version, n.Resource, "accepted")
		out <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(n.Refused), n.Schema, n.Version, n.Resource, "refused")
	}
}
