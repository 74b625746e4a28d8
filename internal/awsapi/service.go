package awsapi

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dhowhq/dhow/internal/awsapi/codec"
	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// service is a Service that a Server serves.
type service struct {
	info       *model.Info
	handlers   map[string]*handler
	maxBody    int64
	queryCodes map[string]string
	query      *Query
	asks       func(context.Context, any) error // Service.Permit

	load      func() (*loaded, error) // at the first call
	loadQuery func() (*codec.Codec, error)
}

// loaded is the part of a service that needs its model.
type loaded struct {
	m     *model.Model
	codec *codec.Codec
	rest  *restRouter
}

// handler is a Go function that answers an operation.
type handler struct {
	name    string
	fn      reflect.Value
	recv    reflect.Value // the first argument of fn, where it is a method
	in, out reflect.Type  // structs; out is nil for event streams
	op      atomic.Pointer[operation]
	mu      sync.Mutex
}

// operation is a handler with its plans.
type operation struct {
	*model.Op
	h       *handler
	in, out *codec.Plan
	maxBody int64
	asQuery plans // the same with the query protocol's names, where these differ
}

type plans struct{ in, out *codec.Plan }

// plans are those for a protocol.
func (o *operation) plans(p protocol) plans {
	if p == query && o.asQuery.in != nil {
		return o.asQuery
	}
	return plans{o.in, o.out}
}

func newService(sv Service) (*service, error) {
	info, ok := model.Lookup(sv.Model)
	if !ok {
		return nil, fmt.Errorf("there is no model named %q", sv.Model)
	}
	svc := &service{info: info, handlers: map[string]*handler{}, maxBody: sv.MaxBody, queryCodes: sv.QueryCodes, query: sv.Query, asks: sv.Permit}
	var errs []error
	for name, fn := range functions(sv.API) {
		if !fn.bound.IsValid() {
			errs = append(errs, fmt.Errorf("service %s, handler %s: it is nil", sv.Model, name))
			continue
		}
		h, err := newHandler(name, fn.bound.Type())
		if !info.HasOp(name) {
			err = errors.New("the model has no such operation, and methods that are no handlers must not be exported")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("service %s, handler %s: %w", sv.Model, name, err))
			continue
		}
		h.fn, h.recv = fn.fn, fn.recv
		svc.handlers[name] = h
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	svc.load = sync.OnceValues(func() (*loaded, error) {
		m, err := model.Load(sv.Model)
		if err != nil {
			return nil, err
		}
		m = m.Unchecked(sv.Unchecked)
		return &loaded{m: m, codec: svc.newCodec(m, sv.Unions), rest: newRestRouter(m)}, nil
	})
	svc.loadQuery = sync.OnceValues(func() (*codec.Codec, error) {
		l, err := svc.load()
		if err != nil || svc.query == nil {
			return nil, err
		}
		return svc.newCodec(l.m.Renamed(svc.query.Names), sv.Unions), nil
	})
	return svc, nil
}

func (svc *service) newCodec(m *model.Model, unions []any) *codec.Codec {
	c := codec.New(m, unions...)
	for _, h := range svc.handlers {
		if h.out != nil {
			c.Know(h.out)
		}
		c.Know(h.in)
	}
	return c
}

// function is a handler to be. Calling a method by its type's function and
// the receiver costs reflection less than calling the bound method.
type function struct{ bound, fn, recv reflect.Value }

// functions are the exported methods of api, or the entries of a Handlers.
func functions(api any) map[string]function {
	out := map[string]function{}
	if hs, ok := api.(Handlers); ok {
		for name, fn := range hs {
			v := reflect.ValueOf(fn)
			out[name] = function{bound: v, fn: v}
		}
		return out
	}
	v := reflect.ValueOf(api)
	if !v.IsValid() {
		return out
	}
	for i := range v.NumMethod() {
		m := v.Type().Method(i)
		out[m.Name] = function{bound: v.Method(i), fn: m.Func, recv: v}
	}
	return out
}

// call calls the handler with a context, an input and, if it wants one, a
// stream.
func (h *handler) call(args ...reflect.Value) []reflect.Value {
	if !h.recv.IsValid() {
		return h.fn.Call(args)
	}
	var all [4]reflect.Value
	all[0] = h.recv
	return h.fn.Call(all[:1+copy(all[1:], args)])
}

var (
	ctxType    = reflect.TypeFor[context.Context]()
	errorType  = reflect.TypeFor[error]()
	streamType = reflect.TypeFor[Stream]()
)

const handlerShape = "func(context.Context, *%[1]sInput) (*%[1]sOutput, error)"

// newHandler checks the function's shape and the names of its types, which
// the SDK forms from the operation's.
func newHandler(name string, t reflect.Type) (*handler, error) {
	wrong := fmt.Errorf("it is a %[2]s, not a "+handlerShape+"; methods that are no handlers must not be exported", name, t)
	if t.Kind() != reflect.Func || t.NumIn() < 2 || t.In(0) != ctxType || !isStructPointer(t.In(1)) {
		return nil, wrong
	}
	h := &handler{name: name, in: t.In(1).Elem()}
	switch {
	case t.NumIn() == 2 && t.NumOut() == 2 && isStructPointer(t.Out(0)) && t.Out(1) == errorType:
		h.out = t.Out(0).Elem()
		if h.out.Name() != name+"Output" {
			return nil, wrong
		}
	case t.NumIn() == 3 && t.In(2) == streamType && t.NumOut() == 1 && t.Out(0) == errorType:
	default:
		return nil, wrong
	}
	if h.in.Name() != name+"Input" {
		return nil, wrong
	}
	return h, nil
}

func isStructPointer(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct
}

// operation returns the handler's plans, made at the first call.
func (svc *service) operation(h *handler) (*operation, error) {
	if o := h.op.Load(); o != nil {
		return o, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if o := h.op.Load(); o != nil {
		return o, nil
	}
	l, err := svc.load()
	if err != nil {
		return nil, err
	}
	o := &operation{Op: l.m.Op(h.name), h: h}
	if o.in, err = l.codec.Plan(h.in, o.Op.Input); err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	if missing := o.in.Unread(); len(missing) > 0 {
		return nil, fmt.Errorf("the members of these unions cannot be read, list them in Service.Unions: %s", strings.Join(missing, ", "))
	}
	if h.out != nil {
		if o.out, err = l.codec.Plan(h.out, o.Op.Output); err != nil {
			return nil, fmt.Errorf("output: %w", err)
		}
	}
	if err := svc.planQuery(o); err != nil {
		return nil, fmt.Errorf("query protocol: %w", err)
	}
	o.maxBody = max(svc.maxBody, o.in.BlobLimit())
	h.op.Store(o)
	return o, nil
}

// planQuery makes the plans of a service with names of its own in the query
// protocol.
func (svc *service) planQuery(o *operation) error {
	c, err := svc.loadQuery()
	if c == nil || err != nil {
		return err
	}
	if o.asQuery.in, err = c.Plan(o.h.in, o.Op.Input); err != nil || o.h.out == nil {
		return err
	}
	o.asQuery.out, err = c.Plan(o.h.out, o.Op.Output)
	return err
}
