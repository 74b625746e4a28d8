package registry

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/dhowhq/dhow/contract"
)

// Definition is what somebody registers.
type Definition struct {
	Text       string
	References []Reference
	Semver     string // declared outside the text; "": what the text declares, if anything
	Metadata   []Pair // to put on a new version
	// KeepFailure: what is incompatible becomes a version of status Failure, as at
	// Glue, and is returned along with the error.
	KeepFailure bool
}

// normal is the same for texts that differ only in what no parser tells from
// each other: in JSON white space and the order of members, in Protobuf white
// space at the ends of lines. Glue does likewise: "the schema definition is sent
// to the Schema Registry, canonicalized, and hashed" (GetSchemaByDefinition).
func normal(f contract.Format, text string) string {
	if f == contract.Protobuf {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		for i, l := range lines {
			lines[i] = strings.TrimRight(l, " \t\r")
		}
		return strings.Join(lines, "\n")
	}
	v, err := tree(text)
	if err != nil {
		return text // no parser takes it
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return text
	}
	return b.String()
}

// digest is the identity of a definition in an account and region.
func digest(s Schema, d Definition) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00%s\x00%s", s.Account, s.Region, s.Format, normal(s.Format, d.Text))
	for _, r := range d.References {
		fmt.Fprintf(h, "\x00%s\x00%s\x00%d", r.Name, r.Subject, r.Version)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}

var protoSemver = regexp.MustCompile(`(?m)^\s*//\s*dhow:semver[ \t]+(\S+)\s*$`)

// declared is what a definition says of its semantic version, "" for nothing.
func (d Definition) declared(f contract.Format) string { return cmp.Or(d.Semver, Declared(f, d.Text)) }

// Declared is the semantic version that a text declares, as it is written there;
// "" for none.
func Declared(f contract.Format, text string) string {
	if f == contract.Protobuf {
		if m := protoSemver.FindStringSubmatch(text); m != nil {
			return m[1]
		}
		return ""
	}
	var top map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &top) != nil || top[SemverKey] == nil {
		return ""
	}
	var said string
	if json.Unmarshal(top[SemverKey], &said) != nil {
		return string(top[SemverKey]) // no version, whatever it is
	}
	if said == "" {
		return `""`
	}
	return said
}

// file is what a definition is called in messages.
func file(f contract.Format, name string) string {
	switch f {
	case contract.Avro:
		return name + ".avsc"
	case contract.Protobuf:
		return name + ".proto"
	}
	return name + ".json"
}

// SameText reports whether two texts without references are one definition.
func SameText(f contract.Format, a, b string) bool { return normal(f, a) == normal(f, b) }
