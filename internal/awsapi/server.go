package awsapi

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// Config is what a Server is made of besides its services.
type Config struct {
	Account string // of callers whose access key names none; 12 digits
	Region  string // of requests whose credential names none

	Auth Authorizer   // nil admits everybody
	Log  *slog.Logger // nil is slog.Default()

	// MaxBody is the largest request body in bytes, also after decompression;
	// 0 is DefaultMaxBody. Operations whose model admits larger blobs get
	// what these need.
	MaxBody int64

	// Observe, where not nil, is told of every answered request.
	Observe func(c *Call, status int, took time.Duration)

	// SkipConstraints leaves out the checks of the model's constraints; only
	// tests of the codec want that.
	SkipConstraints bool
}

// DefaultMaxBody is Config.MaxBody where that is 0.
const DefaultMaxBody = 4 << 20

// Server answers the AWS APIs of its services. It is an http.Handler.
type Server struct {
	cfg      Config
	log      *slog.Logger
	services map[string]*service // by model name
	routes   routes
	pool     sync.Pool // *exchange
}

// New returns a server of these services. It fails where a method has the
// shape of a handler and the model no such operation, or the types are not
// those of the operation, or an exported method is no handler.
func New(cfg Config, services ...Service) (*Server, error) {
	if cfg.Account == "" {
		cfg.Account = "000000000000"
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	if !arn.IsAccount(cfg.Account) {
		return nil, fmt.Errorf("account %q is not 12 digits", cfg.Account)
	}
	s := &Server{cfg: cfg, log: cfg.Log, services: map[string]*service{}}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.pool.New = func() any { return new(exchange) }
	var errs []error
	for _, sv := range services {
		if s.services[sv.Model] != nil {
			errs = append(errs, fmt.Errorf("service %s is listed twice", sv.Model))
			continue
		}
		svc, err := newService(sv)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.services[sv.Model] = svc
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	all, err := model.All()
	if err != nil {
		return nil, err
	}
	s.routes = newRoutes(all, s.services)
	return s, nil
}

// Served returns the operations that have handlers, sorted, by model name.
func (s *Server) Served() map[string][]string {
	out := make(map[string][]string, len(s.services))
	for name, svc := range s.services {
		for op := range svc.handlers {
			out[name] = append(out[name], op)
		}
		slices.Sort(out[name])
	}
	return out
}

// Verify makes the plans of every operation, which are otherwise made at an
// operation's first call, and says what does not fit.
func (s *Server) Verify() error {
	var errs []error
	for _, svc := range s.services {
		for name, h := range svc.handlers {
			if _, err := svc.operation(h); err != nil {
				errs = append(errs, fmt.Errorf("%s.%s: %w", svc.info.Name, name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// ServeHTTP answers one AWS request. Whatever comes in, something in the
// protocol of the request goes out.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := s.pool.Get().(*exchange)
	x.reset(s, w, r)
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.log.Error("a handler panicked", "service", x.call.Service, "operation", x.call.Operation,
				"request", x.call.RequestID, "panic", p, "stack", string(debug.Stack()))
			x.fail(errPanic)
		}
		if s.cfg.Observe != nil {
			s.cfg.Observe(x.call, x.status, time.Since(x.start))
		}
		x.release()
	}()
	if err := x.serve(); err != nil {
		x.fail(err)
	}
}

var errPanic = errors.New("panic")
