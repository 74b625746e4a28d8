// Package acs holds the messages of the protocol between a node's agent and
// the control plane: ACS, which hands out tasks, and TCS, which takes metrics
// and health. They are the messages that the stock ECS agent speaks, with one
// addition, Task.Dhow, which a stock agent ignores.
//
// A message is a JSON text frame {"type":"T","message":{…}} where T is the name
// of its Go type here.
package acs

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// ErrUnknownType is returned for a frame whose type this package does not know.
var ErrUnknownType = errors.New("acs: unknown message type")

// frame is the envelope of every message.
type frame struct {
	Type    string          `json:"type"`
	Message json.RawMessage `json:"message"`
}

// kinds are the messages that Decode knows, by the name of their type.
var kinds = kindsOf(
	HeartbeatMessage{}, HeartbeatAckRequest{}, PayloadMessage{}, AckRequest{}, NackRequest{},
	IAMRoleCredentialsMessage{}, IAMRoleCredentialsAckRequest{},
	TaskManifestMessage{}, TaskStopVerificationMessage{}, TaskStopVerificationAck{},
	AttachTaskNetworkInterfacesMessage{}, AttachInstanceNetworkInterfacesMessage{}, ConfirmAttachmentMessage{},
	StageUpdateMessage{}, PerformUpdateMessage{}, CloseMessage{}, ErrorMessage{},
	PublishMetricsRequest{}, PublishHealthRequest{}, PublishInstanceStatusRequest{},
	AckPublishMetric{}, AckPublishHealth{}, AckPublishInstanceStatus{},
)

func kindsOf(messages ...any) map[string]reflect.Type {
	m := make(map[string]reflect.Type, len(messages))
	for _, v := range messages {
		t := reflect.TypeOf(v)
		m[t.Name()] = t
	}
	return m
}

// Encode renders a message, which must be a value or pointer of one of this
// package's message types, as a frame.
func Encode(m any) ([]byte, error) {
	t := reflect.TypeOf(m)
	if t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || kinds[t.Name()] != t {
		return nil, fmt.Errorf("%w: %T", ErrUnknownType, m)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(body)+len(t.Name())+24)
	out = append(out, `{"type":"`...)
	out = append(out, t.Name()...)
	out = append(out, `","message":`...)
	out = append(out, body...)
	return append(out, '}'), nil
}

// Decode reads a frame and returns a pointer to its message. The error wraps
// ErrUnknownType if the frame is well formed but of a type not known here.
func Decode(b []byte) (any, error) {
	var f frame
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("acs: frame: %w", err)
	}
	t, ok := kinds[f.Type]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknownType, f.Type)
	}
	v := reflect.New(t)
	if len(f.Message) > 0 {
		if err := json.Unmarshal(f.Message, v.Interface()); err != nil {
			return nil, fmt.Errorf("acs: %s: %w", f.Type, err)
		}
	}
	return v.Interface(), nil
}
