package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/contract/wire"
	"github.com/dhowhq/dhow/internal/arn"
)

// The tags that ask for a check.
const (
	SchemaTag     = "dhow:schema"
	ModeTag       = "dhow:schema-mode"
	DeadLetterTag = "dhow:schema-dead-letter"
)

// Mode is what becomes of messages that are not of the schema.
type Mode string

const (
	Reject     Mode = "reject"      // the send fails
	DeadLetter Mode = "dead-letter" // they go to the resource's dead-letter queue instead
	Observe    Mode = "observe"     // they are counted and taken
)

// Rule is what a resource's tags say.
type Rule struct {
	Schema     registry.Name
	Range      contract.Range
	Mode       Mode
	DeadLetter string // ARN of a queue, in the mode DeadLetter
}

// name is the schema as tags and messages name it.
func (r *Rule) name() string { return r.Schema.Registry + "/" + r.Schema.Schema }

// taken is the schema with its range.
func (r *Rule) taken() string {
	if s := r.Range.String(); s != "*" {
		return r.name() + "@" + s
	}
	return r.name()
}

// read is the rule of a target that is tagged. Errors are sentences.
func read(t *Target) (r Rule, err error) {
	if r.Schema, r.Range, err = readSchema(t.Scope, t.Tags[SchemaTag]); err != nil {
		return r, err
	}
	switch r.Mode = Mode(t.Tags[ModeTag]); r.Mode {
	case "":
		r.Mode = Reject
	case Reject, DeadLetter, Observe:
	default:
		return r, fmt.Errorf("the tag %s is %q: it must be reject, dead-letter or observe", ModeTag, r.Mode)
	}
	dead := t.Tags[DeadLetterTag]
	if dead != "" {
		if a, err := arn.Parse(dead); err != nil || a.Service != "sqs" || a.Account != t.Account || a.Region != t.Region {
			return r, fmt.Errorf("the tag %s is %q: it must be the ARN of an SQS queue of the same account and region", DeadLetterTag, dead)
		}
	}
	if r.Mode != DeadLetter {
		return r, nil
	}
	if r.DeadLetter = dead; dead == "" {
		r.DeadLetter = t.DeadLetter
	}
	if r.DeadLetter == "" {
		return r, nowhere(t)
	}
	return r, nil
}

// nowhere says that refused messages have no place to go.
func nowhere(t *Target) error {
	own := ""
	switch t.Service {
	case "sqs":
		own = "give the queue a RedrivePolicy, or "
	case "events":
		own = "give the bus a DeadLetterConfig, or "
	}
	return fmt.Errorf("the tag %s is %s, but %s has no dead-letter queue: %sset the tag %s to the ARN of a queue, in the same call", ModeTag, DeadLetter, t.kind(), own, DeadLetterTag)
}

// readSchema reads REGISTRY/NAME[@RANGE]; the schema may be named by its ARN.
func readSchema(s cluster.Scope, text string) (n registry.Name, within contract.Range, err error) {
	name, rng, ranged := strings.Cut(text, "@")
	reg, schema, ok := wire.SplitName(name)
	if !ok || ranged && rng == "" {
		return n, within, fmt.Errorf("the tag %s is %q: it must be REGISTRY/NAME or REGISTRY/NAME@RANGE, as in shop/order@1", SchemaTag, text)
	}
	if a, err := arn.Parse(name); err == nil && (a.Account != s.Account || a.Region != s.Region) {
		return n, within, fmt.Errorf("the tag %s names a schema of another account or region: %s", SchemaTag, name)
	}
	if within, err = contract.ParseRange(rng); err != nil {
		return n, within, fmt.Errorf("the tag %s: %w", SchemaTag, err)
	}
	return registry.Name{Scope: s, Registry: reg, Schema: schema}, within, nil
}

// own is what dhow's own tags begin with: one that is not known is a mistake.
const own = "dhow:"

var known = []string{SchemaTag, ModeTag, DeadLetterTag}

// concerns reports whether a tag is one of a check, or would be.
func concerns(key string) bool { return strings.HasPrefix(strings.ToLower(key), own) }

// unknown says of one of dhow's own tags that there is no such one, and which may
// have been meant.
func unknown(key string) error {
	best, least := "", 4 // edits at most
	for _, k := range known {
		if n := edits(strings.ToLower(key), k); n < least {
			best, least = k, n
		}
	}
	if best != "" {
		best = ": did you mean " + best + "?"
	}
	return fmt.Errorf("there is no tag %s%s Tags that begin with %s are dhow's own, and here it knows %s", key, cmp.Or(best, "."), own, strings.Join(known, ", "))
}

// edits is how many characters have to be changed, added or left out to make b of a.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		above := row[0] // and to the left
		row[0] = i + 1
		for j := range len(b) {
			n := above
			if a[i] != b[j] {
				n = 1 + min(above, row[j], row[j+1])
			}
			above, row[j+1] = row[j+1], n
		}
	}
	return row[len(b)]
}

// Changed lists the tags that a call sets, and reports whether it sets or removes
// some that ask for checks: then it has to ask CheckTags.
func Changed(before, after map[string]string) (set map[string]string, ask bool) {
	for k, v := range after {
		if have, ok := before[k]; ok && have == v {
			continue
		}
		if set == nil {
			set = map[string]string{}
		}
		set[k] = v
		ask = ask || concerns(k)
	}
	for k := range before {
		if _, ok := after[k]; !ok && slices.Contains(known, k) {
			ask = true
		}
	}
	return set, ask
}

// CheckTags says in words, for the caller who sets them, what is wrong with a
// resource's tags as they will be: malformed values, schemas, versions and queues
// that do not exist, a mode that cannot be. set are those that the call sets.
// *Denied: the caller may not read the schema.
func (e *Engine) CheckTags(ctx context.Context, t Target, set map[string]string, by Sender) error {
	for _, k := range slices.Sorted(maps.Keys(set)) {
		if !concerns(k) || k == SchemaTag {
			continue
		}
		if !slices.Contains(known, k) {
			return unknown(k)
		}
		if t.Tags[SchemaTag] == "" {
			return fmt.Errorf("the tag %s does nothing without %s: set both in one call", k, SchemaTag)
		}
	}
	if _, ok := t.Tags[SchemaTag]; !ok {
		return nil
	}
	r, err := read(&t)
	if err != nil {
		return err
	}
	if r.DeadLetter == t.ARN() {
		return fmt.Errorf("%s cannot be its own dead-letter queue for messages that are not of its schema", t.kind())
	}
	for _, queue := range []string{t.Tags[DeadLetterTag], r.DeadLetter} {
		if queue != "" && e.cfg.Queue != nil && !e.cfg.Queue(queue) {
			return fmt.Errorf("the dead-letter queue %s does not exist: make it before the tags", queue)
		}
	}
	if err := e.allow(ctx, r.Schema.ARNs(), by); err != nil {
		return err
	}
	return e.exists(&r)
}

// exists says why a schema, or a version in the range, is not there.
func (e *Engine) exists(r *Rule) error {
	s, err := e.cfg.Registry.Schema(r.Schema)
	if err != nil || s.Status == registry.Deleting {
		return fmt.Errorf("the tag %s names %s, which is not in the registry: create the schema first", SchemaTag, r.name())
	}
	switch _, err := e.cfg.Registry.ByRange(r.Schema, r.Range.String()); {
	case errors.Is(err, registry.ErrNoVersion):
		return fmt.Errorf("the tag %s names %s, but %s has no version in that range: register one first", SchemaTag, r.taken(), r.name())
	case err != nil:
		return fmt.Errorf("the tag %s: %w", SchemaTag, err)
	}
	return nil
}
