// Package registry keeps schemas: registries of schemas, their versions, and
// what each version may be called. It is under the Glue Schema Registry API and
// under Confluent's, which see the same rows.
//
// A schema belongs to a registry and has versions, numbered from 1. A version
// never changes its definition. [Engine.Register] is the one place where it is
// decided whether a definition is new, whether it gets on with what is there,
// and which semantic version it is.
//
// # Semantic versions
//
// Every available version has one, as metadata under the key semver too. The
// first is 1.0.0; a later one is the smallest right bump ([contract.BumpOf])
// from the highest that the schema ever had. Who registers may declare another,
// that bumps more, in one of three ways:
//
//   - in Avro and JSON Schema by a property "semver" of the schema's outermost
//     object: {"type": "record", "name": "Order", "semver": "2.0.0", …};
//   - in Protobuf by a line of comment: // dhow:semver 2.0.0
//   - afterwards, as metadata: semver put on the latest version, if its own was
//     derived, replaces that.
//
// What declares less than the smallest right bump is refused, as is what is not
// three numbers. Of a deleted version the number is not given again.
package registry

import (
	"strings"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Default is the registry of schemas that name none; it is made when one does.
const Default = "default-registry"

// Status is what may be done with a registry, a schema or a version, by its
// name in the Glue Schema Registry.
type Status string

const (
	Available Status = "AVAILABLE"
	Pending   Status = "PENDING" // a schema without an available version
	Failure   Status = "FAILURE" // a version that was refused
	Deleting  Status = "DELETING"
)

// Registry is a set of schemas.
type Registry struct {
	cluster.Scope
	Name        string
	Description string
	Tags        map[string]string `json:",omitempty"`
	Status      Status            // Available or Deleting
	Created     time.Time
	Updated     time.Time
}

// Registries is keyed ACCOUNT/REGION/NAME.
var Registries = store.NewTable("contract.registries", Registry.Key, doomed(func(r Registry) Status { return r.Status }))

// Key is the row's key.
func (r Registry) Key() string { return r.Scope.Key(part(r.Name)) }

// ARN is the registry's name as AWS has it.
func (r Registry) ARN() string { return r.Scope.ARN("glue", "registry/"+r.Name) }

// ARNs are what policies are asked about where a schema is: the registry as well
// as the schema ("Actions, resources, and condition keys for AWS Glue" requires
// both), or the registry alone where the name says no schema.
func (n Name) ARNs() []string {
	n = n.whole()
	of := Registry{Scope: n.Scope, Name: n.Registry}.ARN()
	if n.Schema == "" {
		return []string{of}
	}
	return []string{of, Schema{Scope: n.Scope, Registry: n.Registry, Name: n.Schema}.ARN()}
}

// doomed is the index of what is to be deleted.
func doomed[T any](status func(T) Status) store.Index[T] {
	return store.Index[T]{Name: "doomed", Values: func(v T) []string {
		if status(v) == Deleting {
			return []string{""}
		}
		return nil
	}}
}

// part is a name as a part of a key: names of subjects may have slashes.
func part(name string) string {
	if !strings.ContainsAny(name, "/%\x00") {
		return name
	}
	return strings.NewReplacer("/", "%2F", "%", "%25", "\x00", "%00").Replace(name)
}
