package acs

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestFrame(t *testing.T) {
	in := &PayloadMessage{
		MessageID: "m1", Cluster: "c", ContainerInstance: "i", SeqNum: 7,
		Tasks: []Task{{ARN: "a", DesiredStatus: "RUNNING", Containers: []Container{{
			Name: "web", Environment: map[string]string{"A": "1"},
			RestartPolicy: &RestartPolicy{Enabled: true, IgnoredExitCodes: []int32{3}},
		}}}},
	}
	b, err := Encode(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"type":"PayloadMessage"`, `"clusterArn":"c"`, `"containerInstanceArn":"i"`, `"seqNum":7`, `"desiredStatus":"RUNNING"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("frame lacks %s: %s", want, b)
		}
	}
	out, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(in, out) {
		t.Errorf("came back as %+v", out)
	}
}

// Every message type must go out and come back as itself: a type missing from
// the table would be refused by the other side.
func TestEveryMessage(t *testing.T) {
	for name, typ := range kinds {
		b, err := Encode(reflect.New(typ).Elem().Interface())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m, err := Decode(b)
		if err != nil || reflect.TypeOf(m) != reflect.PointerTo(typ) {
			t.Errorf("%s came back as %T, %v", name, m, err)
		}
	}
}

func TestRefused(t *testing.T) {
	if _, err := Encode(3); !errors.Is(err, ErrUnknownType) {
		t.Errorf("Encode(3): %v", err)
	}
	if _, err := Encode(nil); !errors.Is(err, ErrUnknownType) {
		t.Errorf("Encode(nil): %v", err)
	}
	if _, err := Decode([]byte(`{"type":"Nope","message":{}}`)); !errors.Is(err, ErrUnknownType) {
		t.Errorf("unknown type: %v", err)
	}
	if _, err := Decode([]byte(`{"type":"AckRequest","message":[]}`)); err == nil || errors.Is(err, ErrUnknownType) {
		t.Errorf("wrong shape: %v", err)
	}
}

func TestTime(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC)
	b, err := json.Marshal(Time{at})
	if err != nil || string(b) != "1772600767.089" {
		t.Fatalf("%s, %v", b, err)
	}
	for _, text := range []string{string(b), `"2026-03-04T05:06:07.089Z"`} {
		var got Time
		if err := json.Unmarshal([]byte(text), &got); err != nil || !got.Equal(at) {
			t.Errorf("%s read as %v, %v", text, got, err)
		}
	}
	var zero Time
	if err := json.Unmarshal([]byte("null"), &zero); err != nil || !zero.IsZero() {
		t.Errorf("null read as %v, %v", zero, err)
	}
}

func TestTelemetryHeader(t *testing.T) {
	body := []byte(`{"type":"X"}`)
	got, err := SplitTCS(JoinTCS([]string{"Host: h", "X-Amz-Date: d"}, body))
	if err != nil || string(got) != string(body) {
		t.Errorf("%s, %v", got, err)
	}
	if got, err = SplitTCS(body); err != nil || string(got) != string(body) {
		t.Errorf("without header: %s, %v", got, err)
	}
	if _, err = SplitTCS([]byte("Host: h\r\nnothing")); err == nil {
		t.Error("a frame without an empty line was taken")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"type":"PayloadMessage","message":{"tasks":[{"arn":"a","dhow":{"definition":{"Family":"f"}}}]}}`))
	f.Add([]byte(`{"type":"PublishHealthRequest","message":{"timestamp":1e400}}`))
	f.Add([]byte("Host: h\r\n\r\n{\"type\":\"PublishMetricsRequest\",\"message\":{\"timestamp\":\"x\"}}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := SplitTCS(b)
		if err != nil {
			return
		}
		m, err := Decode(body)
		if err != nil {
			return
		}
		// What was read can be written, and then reads the same.
		again, err := Encode(m)
		if err != nil {
			t.Fatalf("%T cannot be written again: %v", m, err)
		}
		if _, err := Decode(again); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
	})
}
