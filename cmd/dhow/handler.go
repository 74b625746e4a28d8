package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/services/confluent"
	"github.com/dhowhq/dhow/services/ec2"
	"github.com/dhowhq/dhow/services/ecr"
	"github.com/dhowhq/dhow/services/elbv2"
	"github.com/dhowhq/dhow/services/events"
	"github.com/dhowhq/dhow/services/glue"
	"github.com/dhowhq/dhow/services/kinesis"
	"github.com/dhowhq/dhow/services/logs"
	"github.com/dhowhq/dhow/services/sns"
	"github.com/dhowhq/dhow/services/sqs"
	"github.com/dhowhq/dhow/services/sts"
	"github.com/dhowhq/dhow/topic"
)

// services is the list of AWS APIs that are served: a line each.
func (p *platform) services() []awsapi.Service {
	return []awsapi.Service{
		{Model: "ecs", API: p.ecs},
		{Model: "ecr", API: ecr.New(ecr.Config{Images: p.images})},
		{Model: "elbv2", API: elbv2.New(elbv2.Config{DB: p.db, Engine: p.balancer, Log: p.log, EnsureVPC: p.ensureVPC, Instance: p.hasInstance})},
		{Model: "logs", API: logs.New(logs.Config{Store: p.logstore, DB: p.db})},
		{Model: "kinesis", API: kinesis.New(kinesis.Config{Engine: p.streams, DB: p.db, Contracts: p.broker, Bury: p.queueGate().Bury})},
		{Model: "events", API: events.New(events.Config{DB: p.db, Engine: p.bus, Log: p.log, Gate: p.busGate()})},
		sqs.Service(sqs.Config{Queues: p.queues, Contracts: p.broker}),
		sns.Service(sns.Config{DB: p.db, Engine: p.topics, Contracts: p.broker, Bury: p.queueGate().Bury}),
		glue.Service(glue.Config{Engine: p.schemas}),
		{Model: "sts", API: sts.New()},
		{Model: "ec2", API: ec2.New(ec2.Config{DB: p.db, EnsureVPC: p.ensureVPC})},
	}
}

// handler is the API port: load balancers by Host, dhow's own paths, the image
// registry, and the AWS APIs for the rest.
func (p *platform) handler() http.Handler {
	own := http.NewServeMux()
	own.HandleFunc("GET /_dhow/health", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{"status": "ok", "version": version})
	})
	own.Handle("GET /_dhow/metrics", promhttp.HandlerFor(p.metrics.registry, promhttp.HandlerOpts{}))
	own.Handle("GET /_dhow/events", p.outlet)
	own.HandleFunc("GET /_dhow/tasks", p.listTasks)
	own.HandleFunc("GET /_dhow/schema/usage", p.showUsage)
	own.HandleFunc("POST /_dhow/reset", p.reset)
	own.HandleFunc("GET /_dhow/outbox", p.showOutbox)
	own.HandleFunc("POST /_dhow/outbox/optout/{number}", p.optOut)
	own.HandleFunc("POST /_dhow/repositories/{name...}", p.ensureRepository)
	own.HandleFunc("GET /_dhow/functions", p.listFunctions)
	own.HandleFunc("PUT /_dhow/functions/{name}", p.setFunction)
	own.HandleFunc("DELETE /_dhow/functions/{name}", p.removeFunction)
	own.Handle("GET /_dhow/logs", p.logstore.Handler(p.callScope))
	own.HandleFunc("GET /_dhow/logs/of/{name}", p.followTask)
	own.HandleFunc("GET /_dhow/schema/impact", p.schemaImpact)
	own.HandleFunc("GET /_dhow/schema/ids/{id}", p.schemaByID)
	own.HandleFunc("GET /_dhow/schema/schemas/{registry}/{name}/versions/{version}", p.schemaByVersion)
	own.Handle(confluent.Prefix+"/", confluent.New(confluent.Config{Engine: p.schemas, Scope: p.callScope, Log: p.log}))
	// Who is let in without credentials must not be a page of another site in
	// the browser of somebody on this machine.
	guard := http.NewCrossOriginProtection()
	all := http.NewServeMux()
	all.Handle("/_dhow/acs/", p.acs) // which looks at the agents' signatures itself
	all.Handle("/_dhow/tcs/", p.acs)
	all.Handle("/", p.named(own))
	guarded, api := guard.Handler(all), guard.Handler(p.api)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := p.balancer.Match(r.Host); ok {
			h.ServeHTTP(w, r)
			return
		}
		switch {
		case strings.HasPrefix(r.URL.Path, "/_dhow/"):
			guarded.ServeHTTP(w, r)
		case topic.IsCertificate(r.URL.Path):
			p.topics.ServeCertificate(w, r)
		case r.URL.Path == "/v2" || strings.HasPrefix(r.URL.Path, "/v2/"):
			p.images.ServeHTTP(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

// named has a call to one of dhow's own paths say who calls, by signature or by
// basic authentication, and refuses one whose key of dhow's is not good: what the
// edge does for the AWS APIs.
func (p *platform) named(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := p.api.Caller(r)
		var err error
		if _, password, ok := r.BasicAuth(); ok {
			err = p.auth.Password(password, c)
		} else {
			err = p.auth.Authorize(r, c)
		}
		switch {
		case err == nil:
			h.ServeHTTP(w, r.WithContext(awsapi.WithCall(r.Context(), c)))
		case strings.HasPrefix(r.URL.Path, confluent.Prefix+"/"):
			confluent.Unauthorized(w, err)
		default:
			http.Error(w, err.Error(), http.StatusUnauthorized)
		}
	})
}

// callScope is the account and region of a call to one of dhow's own paths.
func (p *platform) callScope(r *http.Request) cluster.Scope {
	c := awsapi.CallFrom(r.Context())
	if c.Account == "" { // the agents' paths
		c = p.api.Caller(r)
	}
	return cluster.Scope{Account: c.Account, Region: c.Region}
}

// permitted asks whether the caller of one of dhow's own paths may do an action
// with the resources; where not, it has answered.
func (p *platform) permitted(w http.ResponseWriter, r *http.Request, action string, resources ...string) bool {
	err := awsapi.Allow(r.Context(), action, resources...)
	if err != nil {
		p.forbid(w, err)
	}
	return err == nil
}

// forbid answers with an error of awsapi.Allow.
func (p *platform) forbid(w http.ResponseWriter, err error) {
	if denied := (*awsapi.Denied)(nil); errors.As(err, &denied) {
		http.Error(w, denied.Error(), http.StatusForbidden)
		return
	}
	p.log.Error("cannot tell what a caller may do", "err", err)
	http.Error(w, "it cannot be told whether you may, dhow's log says why", http.StatusInternalServerError)
}
