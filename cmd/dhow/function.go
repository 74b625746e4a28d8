package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"text/tabwriter"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/store"
)

// functionCmd says what functions are, until they are served: URLs.
type functionCmd struct {
	Set    functionSetCmd    `cmd:"" help:"Say which URL takes the events of a function."`
	List   functionListCmd   `cmd:"" help:"List functions and their URLs."`
	Remove functionRemoveCmd `cmd:"" help:"Forget a function."`
}

type functionSetCmd struct {
	Name string `arg:"" help:"NAME of arn:aws:lambda:REGION:ACCOUNT:function:NAME."`
	URL  string `arg:"" help:"Where events are sent by POST."`
}

// Run sets a function's URL.
func (c functionSetCmd) Run(ctx context.Context) error {
	return functionCall(ctx, http.MethodPut, c.Name, url.Values{"url": {c.URL}})
}

type functionRemoveCmd struct {
	Name string `arg:"" help:"The function."`
}

// Run forgets a function.
func (c functionRemoveCmd) Run(ctx context.Context) error {
	return functionCall(ctx, http.MethodDelete, c.Name, nil)
}

func functionCall(ctx context.Context, method, name string, query url.Values) error {
	res, err := newClient().do(ctx, method, "/_dhow/functions/"+url.PathEscape(name), query)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(os.Stdout, res.Body)
	return err
}

type functionListCmd struct{}

// Run lists functions.
func (functionListCmd) Run(ctx context.Context) error {
	res, err := newClient().do(ctx, http.MethodGet, "/_dhow/functions", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var list []bus.Function
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "FUNCTION\tURL")
	for _, f := range list {
		fmt.Fprintf(w, "%s\t%s\n", f.Name, f.URL)
	}
	return w.Flush()
}

var functionName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (p *platform) listFunctions(w http.ResponseWriter, r *http.Request) {
	list := []bus.Function{}
	p.db.View(func(rd store.Reader) error {
		for f := range bus.Functions.List(rd, p.callScope(r).Prefix()) {
			list = append(list, f)
		}
		return nil
	})
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(list)
}

func (p *platform) setFunction(w http.ResponseWriter, r *http.Request) {
	f := bus.Function{Scope: p.callScope(r), Name: r.PathValue("name"), URL: r.FormValue("url")}
	if !functionName.MatchString(f.Name) {
		http.Error(w, "a function's name has 1 to 64 letters, digits, hyphens and underscores", http.StatusBadRequest)
		return
	}
	if err := bus.CheckFunctionURL(f.URL); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := p.db.Update(r.Context(), func(tx *store.Tx) error { return bus.Functions.Put(tx, f) }); err != nil {
		p.log.Error("cannot set a function", "err", err)
		http.Error(w, "the function was not set, dhow's log says why", http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "%s is %s\n", f.Scope.ARN("lambda", "function:"+f.Name), f.URL)
}

func (p *platform) removeFunction(w http.ResponseWriter, r *http.Request) {
	key := p.callScope(r).Key(r.PathValue("name"))
	known := false
	err := p.db.Update(r.Context(), func(tx *store.Tx) error {
		_, known = bus.Functions.Get(tx, key)
		bus.Functions.Delete(tx, key)
		return nil
	})
	switch {
	case err != nil:
		p.log.Error("cannot remove a function", "err", err)
		http.Error(w, "the function was not removed, dhow's log says why", http.StatusInternalServerError)
	case !known:
		http.Error(w, "there is no function "+r.PathValue("name"), http.StatusNotFound)
	}
}
