// Package impact knows which services write and read which schemas, as their
// task definitions declare it, and what a deployment would do to those that
// run: whether somebody could not read any more what somebody writes.
//
// A container declares by Docker labels:
//
//	dhow.contract.produces=shop/order@1.2.0
//	dhow.contract.consumes=shop/order@^1,shop/customer
//
// What a service writes is one released version. What it reads with is the
// newest version in its range when the definition was registered: schemas are
// embedded when an image is built, and definitions are registered right after
// that. Where the range had none then, it is the first one that came into it.
//
// Whatever is ACTIVE counts, scaled to nothing or not: its messages wait. Of a
// service all deployments count that have tasks, so that during a rollout both
// what goes and what comes must be readable, and the one that a failing rollout
// goes back to. Tasks that belong to no service count while they run.
package impact

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/registry"
)

// The labels that declare.
const (
	labels   = cluster.ContractLabels
	Produces = labels + "produces"
	Consumes = labels + "consumes"
)

// maxDeclared bounds what one task definition declares.
const maxDeclared = 200

// Contract is one schema that a task definition declares to write or to read.
type Contract struct {
	Registry, Schema string
	Produces         bool
	Declared         string         // the version, or the range, as it is written; "" for any
	Range            contract.Range // of the same
}

// Name is REGISTRY/NAME.
func (c Contract) Name() string { return c.Registry + "/" + c.Schema }

// verb is what a service does with the schema.
func (c Contract) verb() string {
	if c.Produces {
		return "produces"
	}
	return "consumes"
}

// partOK is the form of names in the Glue Schema Registry.
var partOK = regexp.MustCompile(`^[a-zA-Z0-9_$#.-]{1,255}$`)

// Of lists what a task definition declares, each once, by name. The error says
// which label of which container cannot be read, and how it is written.
func Of(d types.TaskDefinition) (list []Contract, err error) {
	seen := map[Contract]bool{}
	for _, c := range d.ContainerDefinitions {
		for _, key := range slices.Sorted(maps.Keys(c.DockerLabels)) {
			if !strings.HasPrefix(key, labels) {
				continue
			}
			found, err := declared(key, c.DockerLabels[key])
			if err != nil {
				return nil, fmt.Errorf("label %s of container '%s': %w", key, deref(c.Name), err)
			}
			for _, f := range found {
				once := f
				once.Range = contract.Range{}
				if !seen[once] {
					seen[once] = true
					list = append(list, f)
				}
			}
		}
	}
	if len(list) > maxDeclared {
		return nil, fmt.Errorf("the labels %s and %s name %d schemas; a task definition may name %d", Produces, Consumes, len(list), maxDeclared)
	}
	slices.SortFunc(list, func(a, b Contract) int {
		return cmp.Or(cmp.Compare(a.Name(), b.Name()), cmp.Compare(b.verb(), a.verb()), cmp.Compare(a.Declared, b.Declared))
	})
	return list, nil
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// declared reads a label.
func declared(key, value string) (list []Contract, err error) {
	if key != Produces && key != Consumes {
		return nil, fmt.Errorf("there is no such label: %s says what is written, %s what is read", Produces, Consumes)
	}
	for item := range strings.SplitSeq(value, ",") {
		c, err := parse(strings.TrimSpace(item), key == Produces)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func parse(item string, produces bool) (c Contract, err error) {
	name, text, at := strings.Cut(item, "@")
	reg, schema, ok := strings.Cut(name, "/")
	if !ok {
		reg, schema = registry.Default, name
	}
	c = Contract{Registry: reg, Schema: schema, Produces: produces, Declared: strings.TrimSpace(text)}
	switch {
	case !partOK.MatchString(reg) || !partOK.MatchString(schema):
		return c, fmt.Errorf("%.80q is no REGISTRY/NAME@VERSION; commas stand between schemas, and comparisons of one range are joined by spaces, as in shop/order@>=1.2 <3", item)
	case at && c.Declared == "":
		return c, fmt.Errorf("%.80q has nothing after its @", item)
	case produces:
		if _, err = contract.ParseVersion(c.Declared); err != nil {
			return c, fmt.Errorf("what is produced is of one version, as in %s@1.2.0: %.40q is none", name, c.Declared)
		}
	}
	if c.Range, err = contract.ParseRange(c.Declared); err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}
