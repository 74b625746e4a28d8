package confluent

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/contract/verdict"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// Error is an error of the API: its codes begin with the HTTP status ("Errors"
// in the API reference).
type Error struct {
	Status  int    `json:"-"`
	Code    int    `json:"error_code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

func fault(code int, format string, args ...any) *Error {
	status := code
	if code > 999 {
		status = code / 100
	}
	return &Error{status, code, fmt.Sprintf(format, args...)}
}

func noSubject(n registry.Name) error { return fault(40401, "Subject '%s' not found.", called(n)) }

func noVersion(number any) error { return fault(40402, "Version %v not found.", number) }

var errNoSchema = fault(40403, "Schema not found")

// wrap says an error of the engine's about a schema in the API's words.
func wrap(err error, n registry.Name) error {
	var (
		own       *Error
		malformed *verdict.Malformed
		bad       *registry.SemverError
		breaks    *registry.Incompatible
	)
	switch {
	case err == nil || errors.As(err, &own):
		return err
	case errors.As(err, &malformed):
		return fault(42201, "Invalid schema: %s", malformed)
	case errors.Is(err, registry.ErrReference):
		return fault(42201, "Invalid schema: %v", err)
	case errors.As(err, &bad):
		return fault(42201, "Invalid schema: %s", bad.Detail)
	case errors.As(err, &breaks):
		return fault(409, "Schema being registered is incompatible with an earlier schema for subject \"%s\": %v", called(n), breaks)
	case errors.Is(err, registry.ErrFormat):
		return fault(409, "Schema being registered is incompatible with an earlier schema for subject \"%s\": %v", called(n), err)
	case errors.Is(err, registry.ErrNoRegistry): // of what would be its first schema
		return fault(42205, "Operation not permitted on subject %s: there is no context .%s, which is a registry of AWS Glue; create that first", called(n), n.Registry)
	case errors.Is(err, registry.ErrNoSchema):
		return noSubject(n)
	case errors.Is(err, registry.ErrNoVersion):
		return errNoSchema
	case errors.Is(err, registry.ErrReferenced):
		return fault(42206, "One or more references exist to the schema of subject %s: %v", called(n), err)
	case errors.Is(err, registry.ErrDisabled):
		return fault(42205, "Subject %s is in read-only mode: %v", called(n), err)
	case errors.Is(err, registry.ErrDeleting), errors.Is(err, registry.ErrTooMany), errors.Is(err, registry.ErrNecessary), errors.Is(err, registry.ErrInUse):
		return fault(42205, "Operation not permitted on subject %s: %v", called(n), err)
	}
	return err
}

// fail answers with an error; what is none of the API's is logged and leaks
// nothing.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *Error
	var denied *awsapi.Denied
	switch {
	case errors.As(err, &e):
	case errors.As(err, &denied):
		e = fault(40301, "%v", denied)
	default:
		a.log.Error("schema registry call failed", "method", r.Method, "path", r.URL.Path, "err", err)
		e = fault(50001, "Error in the backend data store")
		e.Status = http.StatusInternalServerError
	}
	e.write(w)
}

func (e *Error) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(e.Status)
	json.NewEncoder(w).Encode(e)
}

// Unauthorized answers a request whose credentials are not good, in the API's
// form.
func Unauthorized(w http.ResponseWriter, why error) {
	w.Header().Set("WWW-Authenticate", `Basic realm="Schema Registry"`)
	fault(401, "Unauthorized: %v", why).write(w)
}
