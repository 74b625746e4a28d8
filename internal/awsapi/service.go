package awsapi

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
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

	load func() (*loaded, error) // at the first call
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
	in, out reflect.Type // structs; out is nil for event streams
	op      atomic.Pointer[operation]
	mu      sync.Mutex
}

// operation is a handler with its plans.
type operation struct {
	*model.Op
	h       *handler
	in, out *codec.Plan
	maxBody int64
}

func newService(sv Service) (*service, error) {
	info, ok := model.Lookup(sv.Model)
	if !ok {
		return nil, fmt.Errorf("there is no model named %q", sv.Model)
	}
	svc := &service{info: info, handlers: map[string]*handler{}, maxBody: sv.MaxBody, queryCodes: sv.QueryCodes}
	var errs []error
	for name, fn := range functions(sv.API) {
		h, err := newHandler(name, fn)
		if err == nil && !slices.Contains(info.Ops, name) {
			err = errors.New("the model has no such operation")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("service %s, handler %s: %w", sv.Model, name, err))
			continue
		}
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
		c := codec.New(m, sv.Unions...)
		for _, h := range svc.handlers {
			if h.out != nil {
				c.Know(h.out)
			}
			c.Know(h.in)
		}
		return &loaded{m: m, codec: c, rest: newRestRouter(m)}, nil
	})
	return svc, nil
}

// functions are the exported methods of api, or the entries of a Handlers.
func functions(api any) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	if hs, ok := api.(Handlers); ok {
		for name, fn := range hs {
			out[name] = reflect.ValueOf(fn)
		}
		return out
	}
	v := reflect.ValueOf(api)
	if !v.IsValid() {
		return out
	}
	for i := range v.NumMethod() {
		out[v.Type().Method(i).Name] = v.Method(i)
	}
	return out
}

var (
	ctxType    = reflect.TypeFor[context.Context]()
	errorType  = reflect.TypeFor[error]()
	streamType = reflect.TypeFor[Stream]()
)

const handlerShape = "func(context.Context, *%[1]sInput) (*%[1]sOutput, error)"

// newHandler checks the function's shape and the names of its types, which
// the SDK forms from the operation's.
func newHandler(name string, fn reflect.Value) (*handler, error) {
	t := fn.Type()
	wrong := fmt.Errorf("it is a %s, not a "+handlerShape+"; methods that are no handlers must not be exported", t, name)
	if t.Kind() != reflect.Func || t.NumIn() < 2 || t.In(0) != ctxType || !isStructPointer(t.In(1)) {
		return nil, wrong
	}
	h := &handler{name: name, fn: fn, in: t.In(1).Elem()}
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
	o.maxBody = max(svc.maxBody, o.in.BlobLimit())
	h.op.Store(o)
	return o, nil
}
