package main

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/identity"
	"github.com/dhowhq/dhow/internal/arn"
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
	own.Handle("/_dhow/acs/", p.acs)
	own.Handle("/_dhow/tcs/", p.acs)
	own.HandleFunc("GET /_dhow/schema/impact", p.schemaImpact)
	own.HandleFunc("GET /_dhow/schema/ids/{id}", p.schemaByID)
	own.HandleFunc("GET /_dhow/schema/schemas/{registry}/{name}/versions/{version}", p.schemaByVersion)
	own.Handle(confluent.Prefix+"/", confluent.New(confluent.Config{Engine: p.schemas, Scope: p.callScope, Log: p.log}))
	// Who is let in without credentials must not be a page of another site in
	// the browser of somebody on this machine.
	guard := http.NewCrossOriginProtection()
	guarded, api := guard.Handler(p.named(own)), guard.Handler(p.api)
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

// named refuses a call to one of dhow's own paths that comes with a key of
// dhow's which is not good, and notes the account of one that is.
func (p *platform) named(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s, err := identity.Parse(r); err == nil && identity.Issued(s.AccessKey) {
			c := &awsapi.Call{AccessKey: s.AccessKey}
			if err := p.auth.Authorize(r, c); err != nil {
				http.Error(w, err.Error(), http.StatusForbidden)
				return
			}
			r = r.WithContext(awsapi.WithCall(r.Context(), c))
		} else if key, password, ok := r.BasicAuth(); ok && identity.Issued(key) {
			c := &awsapi.Call{AccessKey: key}
			if err := p.auth.Password(password, c); err != nil {
				http.Error(w, err.Error(), http.StatusUnauthorized)
				return
			}
			r = r.WithContext(awsapi.WithCall(r.Context(), c))
		}
		h.ServeHTTP(w, r)
	})
}

// callScope is the account and region of a call to one of dhow's own paths:
// its signature's where it has one, as for the AWS APIs, or that of the access
// key in its basic authentication.
func (p *platform) callScope(r *http.Request) cluster.Scope {
	account, region := p.api.Scope(r)
	if key, _, ok := r.BasicAuth(); ok && arn.IsAccount(key) {
		account = key
	}
	if c := awsapi.CallFrom(r.Context()); c.Account != "" {
		account = c.Account
	}
	return cluster.Scope{Account: account, Region: region}
}
