package registry

import (
	"fmt"
	"strconv"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/store"
)

// SemverKey is the key of the metadata that is a version's semantic version.
const SemverKey = "semver"

// Reference is another schema that a definition needs. Within a registry alone:
// Subject is the name of a schema in the same one.
type Reference struct {
	Name    string // by which the definition calls it: a full name, a file, a URI
	Subject string
	Version int64
}

// Pair is metadata of a version. A key may have several values.
type Pair struct {
	Key, Value string
	Created    time.Time
}

// Version is one definition of a schema.
type Version struct {
	cluster.Scope
	Registry, Name string // of its schema
	Number         int64  // from 1, within the schema
	ID             string // UUID, unique everywhere
	SchemaID       int    // unique to the definition within account and region, whatever the schemas; 0 of failures
	Status         Status // Available, Failure or Deleting
	Format         contract.Format
	Packed         []byte      // the definition's text, zstd
	Digest         string      // of account and region, the definition's normal form, its format and its references
	References     []Reference `json:",omitempty"`
	Semver         string      `json:",omitempty"` // "" of failures
	Smallest       string      `json:",omitempty"` // the smallest semver that was right when it was registered, "" if Semver is that
	Declared       bool        `json:",omitempty"` // Semver was said, not derived; Smallest is then of no more use
	Failure        string      `json:",omitempty"` // why Status is Failure
	Metadata       []Pair      `json:",omitempty"` // what was put, in that order; semver is not among it
	Deleted        bool        `json:",omitempty"` // Confluent's soft delete: found by number or id, but no more in lists
	Created        time.Time
}

// Versions is keyed ACCOUNT/REGION/REGISTRY/NAME/NUMBER, with the number's
// digits such that keys are in the order of numbers. There may be a hundred
// thousand.
var Versions = store.NewTable("contract.versions", Version.Key,
	store.Index[Version]{Name: "id", Values: func(v Version) []string { return []string{v.ID} }},
	store.Index[Version]{Name: "schema id", Values: func(v Version) []string {
		if v.SchemaID == 0 {
			return nil
		}
		return []string{schemaIDKey(v.Scope, v.SchemaID)}
	}},
	store.Index[Version]{Name: "digest", Values: func(v Version) []string { return []string{v.Digest} }},
	store.Index[Version]{Name: "refers", Values: Version.refers},
	doomed(func(v Version) Status { return v.Status }),
).Late()

// Key is the row's key.
func (v Version) Key() string { return versionKey(v.Schema(), v.Number) }

func versionKey(n Name, number int64) string {
	digits := strconv.FormatInt(number, 10)
	return n.key() + "/" + "0000000000"[min(len(digits), 10):] + digits
}

func schemaIDKey(s cluster.Scope, id int) string { return s.Key(strconv.Itoa(id)) }

// Schema is the whole name of the version's schema.
func (v Version) Schema() Name { return Name{v.Scope, v.Registry, v.Name} }

// ARN is the name of the version's schema as AWS has it.
func (v Version) ARN() string { return v.Scope.ARN("glue", "schema/"+v.Registry+"/"+v.Name) }

// Live reports whether the version counts: for what comes after it, as the
// latest one, in ranges.
func (v Version) Live() bool { return v.Status == Available && !v.Deleted }

// refers lists the keys of the versions that the definition needs.
func (v Version) refers() (keys []string) {
	for _, r := range v.References {
		keys = append(keys, versionKey(Name{v.Scope, v.Registry, r.Subject}, r.Version))
	}
	return keys
}

// label is what messages call the version.
func (v Version) label() string {
	if v.Semver != "" {
		return v.Semver
	}
	return fmt.Sprintf("version %d", v.Number)
}

// maxText is how long a definition may be, in bytes. Glue takes 170,000
// characters, which its face sees to.
const maxText = 1 << 20

var (
	packer, _   = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<20))
	unpacker, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxText))
)

func pack(text string) []byte { return packer.EncodeAll([]byte(text), nil) }

// Text is the definition.
func (v Version) Text() string {
	text, err := unpacker.DecodeAll(v.Packed, nil)
	if err != nil {
		panic(fmt.Sprintf("registry: the text of %s is damaged: %v", v.Key(), err)) // the store has checked it
	}
	return string(text)
}
