package broker

import "unicode/utf8"

// Code is what dead letters and failed deliveries call a refusal.
const Code = "SCHEMA_VALIDATION_FAILED"

// Refusal is why a message is not taken, in a sentence for its sender: the
// schema and version, the path of the field, and what to do.
type Refusal struct {
	Schema  string // REGISTRY/NAME
	Version string // semantic version that the message was held to, "" where there is none
	Reason  string
}

// maxReason bounds a refusal's text in bytes: it travels in attributes.
const maxReason = 1000

func (r *Refusal) Error() string {
	if len(r.Reason) <= maxReason {
		return r.Reason
	}
	cut := maxReason
	for !utf8.RuneStart(r.Reason[cut]) {
		cut--
	}
	return r.Reason[:cut] + "…"
}

// Denied says that the sender may not read the schema that it sends by.
type Denied struct{ Err error }

func (d *Denied) Error() string { return d.Err.Error() }
func (d *Denied) Unwrap() error { return d.Err }
