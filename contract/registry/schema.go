package registry

import (
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/store"
)

// Name is a schema's whole name. The zero Registry is Default.
type Name struct {
	cluster.Scope
	Registry, Schema string
}

// whole is the name with its registry.
func (n Name) whole() Name {
	if n.Registry == "" {
		n.Registry = Default
	}
	return n
}

func (n Name) key() string { return n.Scope.Key(part(n.whole().Registry), part(n.Schema)) }

// Schema is a set of versions, each of which follows those before it as Level
// says. At Confluent's it is a subject.
type Schema struct {
	cluster.Scope
	Registry, Name string
	Format         contract.Format
	Level          contract.Level
	Inherits       bool   `json:",omitempty"` // Level is unset, and Settings.Level counts; only Confluent's clients leave it so
	Mode           string `json:",omitempty"` // Confluent's mode of the subject; "": Settings.Mode counts
	Description    string
	Tags           map[string]string `json:",omitempty"`
	Status         Status            // Pending until its first version is available

	Checkpoint int64  // the version with which the _ALL levels begin; 0: none yet
	Latest     int64  // the highest available version; 0: none
	Next       int64  // the number that the next version gets
	Semver     string // the highest that any version had, deleted ones too; "": none
	Revision   int64  // counts changes of the schema and of its set of versions
	Created    time.Time
	Updated    time.Time
}

// Schemas is keyed ACCOUNT/REGION/REGISTRY/NAME.
var Schemas = store.NewTable("contract.schemas", Schema.Key, doomed(func(s Schema) Status { return s.Status }))

// Key is the row's key.
func (s Schema) Key() string { return s.FullName().key() }

// FullName is the schema's whole name.
func (s Schema) FullName() Name { return Name{s.Scope, s.Registry, s.Name} }

// ARN is the schema's name as AWS has it.
func (s Schema) ARN() string { return s.Scope.ARN("glue", "schema/"+s.Registry+"/"+s.Name) }

// RegistryARN is the name of the schema's registry as AWS has it.
func (s Schema) RegistryARN() string { return Registry{Scope: s.Scope, Name: s.Registry}.ARN() }

// level is Engine.Level.
func (s Schema) level(r store.Reader) contract.Level {
	if s.Inherits {
		return settings(r, s.Scope).Level
	}
	return s.Level
}

// Settings are what Confluent's clients set for all subjects of an account in a
// region.
type Settings struct {
	cluster.Scope
	Level contract.Level // of schemas that inherit it; "": BACKWARD
	Mode  string         // Confluent's; "": READWRITE
}

// AllSettings is keyed ACCOUNT/REGION.
var AllSettings = store.NewTable("contract.settings", Settings.Key)

// Key is the row's key.
func (s Settings) Key() string { return s.Scope.Key("") }

// counter gives out the numbers by which Confluent's clients know definitions.
type counter struct {
	cluster.Scope
	Last int
}

var counters = store.NewTable("contract.counters", counter.Key)

// Key is the row's key.
func (c counter) Key() string { return c.Scope.Key("") }
