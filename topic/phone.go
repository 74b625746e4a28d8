package topic

import (
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// SMSSettings are the attributes of SetSMSAttributes in an account and region.
type SMSSettings struct {
	cluster.Scope
	Attributes map[string]string
}

// SMSSettingsTable is the table of SMS attributes.
var SMSSettingsTable = store.NewTable("topic.sms", func(s SMSSettings) string { return s.Scope.Key("sms") })

// SandboxPhone is a number that is, or is to be, verified.
type SandboxPhone struct {
	cluster.Scope
	Number   string
	OTP      string // what verifies it; "" once it is
	Language string
	Sent     time.Time
	Verified time.Time
}

// RowKey is the row's key.
func (p SandboxPhone) RowKey() string { return p.Scope.Key(p.Number) }

// SandboxPhones is the table of sandbox numbers.
var SandboxPhones = store.NewTable("topic.phones", SandboxPhone.RowKey)

// OptOut is a number that wants no more messages.
type OptOut struct {
	cluster.Scope
	Number string
	At     time.Time
}

// RowKey is the row's key.
func (o OptOut) RowKey() string { return o.Scope.Key(o.Number) }

// OptOuts is the table of numbers that opted out: by the outbox's path, which
// stands for answering STOP.
var OptOuts = store.NewTable("topic.optouts", OptOut.RowKey)
