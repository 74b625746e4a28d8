package confluent

import (
	"errors"
	"strings"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/registry"
)

// levels are the API's names of compatibility levels. DISABLED is Glue's alone:
// here it is the mode READONLY, and the level NONE.
var levels = map[string]contract.Level{
	"NONE": contract.None, "BACKWARD": contract.Backward, "BACKWARD_TRANSITIVE": contract.BackwardAll,
	"FORWARD": contract.Forward, "FORWARD_TRANSITIVE": contract.ForwardAll, "FULL": contract.Full, "FULL_TRANSITIVE": contract.FullAll,
}

func levelName(l contract.Level) string {
	for name, level := range levels {
		if level == l {
			return name
		}
	}
	return "NONE"
}

// config is what GET and PUT of a level say; they say it under two names.
type config struct {
	Level    string `json:"compatibilityLevel,omitempty"`
	Setting  string `json:"compatibility,omitempty"`
	Alias    string `json:"alias,omitempty"`
	Group    string `json:"compatibilityGroup,omitempty"`
	Normal   *bool  `json:"normalize,omitempty"`
	Metadata any    `json:"defaultMetadata,omitempty"`
	Override any    `json:"overrideMetadata,omitempty"`
	Rules    any    `json:"defaultRuleSet,omitempty"`
	Forced   any    `json:"overrideRuleSet,omitempty"`
}

// extra names a setting that would be accepted and ignored.
func (c config) extra() string {
	switch {
	case c.Alias != "":
		return "alias"
	case c.Group != "":
		return "compatibilityGroup"
	case c.Normal != nil && *c.Normal:
		return "normalize"
	case c.Metadata != nil || c.Override != nil:
		return "metadata"
	case c.Rules != nil || c.Forced != nil:
		return "rule sets"
	}
	return ""
}

func noLevel(n registry.Name) error {
	return fault(40408, "Subject '%s' does not have subject-level compatibility configured", called(n))
}

// find returns the schema that a path's subject means.
func (a *API) find(n registry.Name) (registry.Schema, error) {
	s, err := a.e.Schema(n)
	return s, wrap(err, n)
}

func (a *API) getConfig(c *call) (any, error) {
	if c.PathValue("subject") == "" {
		return config{Level: levelName(a.e.Settings(c.scope).Level)}, nil
	}
	n := c.subject()
	s, err := a.e.Schema(n)
	if err != nil {
		s = empty(n, contract.Avro)
	}
	if s.Inherits && !c.flag("defaultToGlobal") {
		return nil, noLevel(n)
	}
	return config{Level: levelName(a.e.Level(s))}, nil
}

func (a *API) putConfig(c *call) (any, error) {
	var in config
	if err := c.read(&in); err != nil {
		return nil, err
	}
	if extra := in.extra(); extra != "" {
		return nil, fault(42205, "Operation not permitted: dhow has no %s of subjects yet; leave it out", extra)
	}
	level, ok := levels[strings.ToUpper(in.Setting)]
	if !ok {
		return nil, fault(42203, "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive")
	}
	if c.PathValue("subject") == "" {
		return config{Setting: levelName(level)}, a.e.SetSettings(c.Context(), c.scope, func(s *registry.Settings) error {
			s.Level = level
			return nil
		})
	}
	n := c.subject()
	return config{Setting: levelName(level)}, a.change(c, n, func(s *registry.Schema) { s.Level, s.Inherits = level, false })
}

func (a *API) deleteConfig(c *call) (any, error) {
	if c.PathValue("subject") == "" {
		return config{Level: levelName(contract.Backward)}, a.e.SetSettings(c.Context(), c.scope, func(s *registry.Settings) error {
			s.Level = ""
			return nil
		})
	}
	n := c.subject()
	s, err := a.find(n)
	switch {
	case err != nil:
		return nil, err
	case s.Inherits:
		return nil, noLevel(n)
	}
	return config{Level: levelName(s.Level)}, a.change(c, n, func(s *registry.Schema) { s.Inherits = true })
}

// change changes a subject. One may be configured before its first schema, which
// then says what language it is in.
func (a *API) change(c *call, n registry.Name, set func(*registry.Schema)) error {
	apply := func() error {
		_, err := a.e.ChangeSchema(c.Context(), n, func(s *registry.Schema) error { set(s); return nil })
		return err
	}
	err := apply()
	if errors.Is(err, registry.ErrNoSchema) {
		s := empty(n, contract.Avro)
		set(&s)
		if _, err = a.create(c, s, nil); errors.Is(err, registry.ErrSchemaExists) {
			err = apply()
		}
	}
	return wrap(err, n)
}

// empty is a subject without versions.
func empty(n registry.Name, f contract.Format) registry.Schema {
	return registry.Schema{Scope: n.Scope, Registry: n.Registry, Name: n.Schema, Format: f, Level: contract.Backward, Inherits: true}
}

// Modes. IMPORT and FORWARD, which let clients choose ids, are refused.
const (
	readWrite        = "READWRITE"
	readOnly         = "READONLY"
	readOnlyOverride = "READONLY_OVERRIDE"
)

type mode struct {
	Mode string `json:"mode"`
}

// modeOf is the mode that counts for a subject.
func (a *API) modeOf(c *call, s registry.Schema) string {
	global := a.e.Settings(c.scope).Mode
	switch {
	case global == readOnlyOverride:
		return global
	case s.Level == contract.Disabled && !s.Inherits:
		return readOnly
	case s.Mode != "":
		return s.Mode
	}
	return global
}

// writable refuses changes of a subject that is read-only.
func (a *API) writable(c *call, n registry.Name) error {
	s, _ := a.e.Schema(n)
	if a.modeOf(c, s) == readWrite {
		return nil
	}
	return fault(42205, "Subject %s is in read-only mode", called(n))
}

func (a *API) getMode(c *call) (any, error) {
	if c.PathValue("subject") == "" {
		return mode{a.e.Settings(c.scope).Mode}, nil
	}
	n := c.subject()
	s, err := a.e.Schema(n)
	own := err == nil && (s.Mode != "" || s.Level == contract.Disabled && !s.Inherits)
	if !own && !c.flag("defaultToGlobal") {
		return nil, fault(40409, "Subject '%s' does not have subject-level mode configured", called(n))
	}
	return mode{a.modeOf(c, s)}, nil
}

func (a *API) putMode(c *call) (any, error) {
	var in mode
	if err := c.read(&in); err != nil {
		return nil, err
	}
	switch in.Mode {
	case readWrite, readOnly, readOnlyOverride:
	case "IMPORT", "FORWARD":
		return nil, fault(42205, "Operation not permitted: dhow gives out ids itself and has no mode %s", in.Mode)
	default:
		return nil, fault(42204, "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE")
	}
	if c.PathValue("subject") == "" {
		return in, a.e.SetSettings(c.Context(), c.scope, func(s *registry.Settings) error { s.Mode = in.Mode; return nil })
	}
	return in, a.change(c, c.subject(), func(s *registry.Schema) { s.Mode = in.Mode })
}

func (a *API) deleteMode(c *call) (any, error) {
	if c.PathValue("subject") == "" {
		was := a.e.Settings(c.scope).Mode
		return mode{was}, a.e.SetSettings(c.Context(), c.scope, func(s *registry.Settings) error { s.Mode = ""; return nil })
	}
	n := c.subject()
	s, err := a.find(n)
	if err != nil {
		return nil, err
	}
	if s.Mode == "" {
		return nil, fault(40409, "Subject '%s' does not have subject-level mode configured", called(n))
	}
	return mode{s.Mode}, a.change(c, n, func(s *registry.Schema) { s.Mode = "" })
}
