package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/dhowhq/dhow/agent"
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/broker"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// schemaByID answers GET /_dhow/schema/ids/UUID: agents ask so on behalf of
// their tasks, by the keys of their roles.
func (p *platform) schemaByID(w http.ResponseWriter, r *http.Request) {
	l, err := p.schemas.ByID(p.callScope(r), r.PathValue("id"))
	var of []string
	if err == nil {
		of = l.Schema().ARNs()
	}
	switch known, denied := awsapi.AllowFound(r.Context(), broker.Action, of...); {
	case denied != nil:
		p.forbid(w, denied)
		return
	case !known && err == nil:
		err = registry.ErrNoVersion
	}
	p.answerSchema(w, l, err, "schema version "+r.PathValue("id"))
}

// schemaByVersion answers GET /_dhow/schema/schemas/REGISTRY/NAME/versions/V; V is
// a version, a range, or latest.
func (p *platform) schemaByVersion(w http.ResponseWriter, r *http.Request) {
	n := registry.Name{Scope: p.callScope(r), Registry: r.PathValue("registry"), Schema: r.PathValue("name")}
	if !p.permitted(w, r, broker.Action, n.ARNs()...) {
		return
	}
	what := fmt.Sprintf("schema %s/%s", n.Registry, n.Schema)
	text := r.PathValue("version")
	if text == "latest" {
		l, err := p.schemas.ByNumber(n, 0)
		p.answerSchema(w, l, err, what)
		return
	}
	l, err := p.schemas.ByRange(n, text)
	if errors.Is(err, contract.ErrRange) {
		http.Error(w, err.Error()+", or latest", http.StatusBadRequest)
		return
	}
	p.answerSchema(w, l, err, what+" with a version in "+text)
}

func (p *platform) answerSchema(w http.ResponseWriter, l *registry.Loaded, err error, what string) {
	switch {
	case errors.Is(err, registry.ErrNoSchema), errors.Is(err, registry.ErrNoVersion), errors.Is(err, registry.ErrNoRegistry):
		http.Error(w, fmt.Sprintf("the registry has no %.700s", what), http.StatusNotFound)
		return
	case err != nil:
		p.log.Error("cannot look a schema up", "what", what, "err", err)
		http.Error(w, "the schema cannot be looked up, dhow's log says why", http.StatusInternalServerError)
		return
	}
	out := agent.Schema{ID: l.ID, Registry: l.Registry, Name: l.Name, Number: l.Number, Version: l.Semver, Format: string(l.Format), Text: l.Contract.Source().Text}
	for _, ref := range l.References {
		v, err := p.schemas.Version(registry.Name{Scope: l.Scope, Registry: l.Registry, Schema: ref.Subject}, ref.Version)
		if err != nil {
			p.answerSchema(w, nil, err, fmt.Sprintf("version %d of %s, which the schema refers to", ref.Version, ref.Subject))
			return
		}
		out.References = append(out.References, agent.SchemaReference{As: ref.Name, ID: v.ID, Name: v.Name, Version: v.Semver})
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(out)
}
