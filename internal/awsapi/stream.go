package awsapi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/dhowhq/dhow/internal/awsapi/codec"
	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// Stream is the answer of an operation whose output is an event stream. Its
// handler has the shape
//
//	func(ctx context.Context, in *logs.StartLiveTailInput, out awsapi.Stream) error
//
// and sends until it has nothing more to say or ctx ends, which it does when
// the client goes. An error that is returned before the first Send or Start
// goes out as any error does, later ones as the stream's last message.
type Stream interface {
	// Start sends the members of the output that are no events; out is a
	// pointer to the SDK's output type. It is optional, and first.
	Start(out any) error
	// Send sends one event, a pointer to a member type of the SDK's stream
	// union (&types.StartLiveTailResponseStreamMemberSessionUpdate{…}). It
	// returns an error when the client has gone.
	Send(event any) error
}

type eventStream struct {
	x      *exchange
	o      *operation
	l      *loaded
	shape  *model.Shape // the union of events
	output int

	mu      sync.Mutex
	started bool
	buf     []byte
}

func (x *exchange) serveStream(ctx context.Context, o *operation, in reflect.Value) error {
	l, err := x.s.services[x.t.info.Name].load()
	if err != nil {
		return err
	}
	s := &eventStream{x: x, o: o, l: l, output: o.Output}
	if o.Output >= 0 {
		for _, m := range l.m.Shapes[o.Output].Members {
			if l.m.Shapes[m.Shape].Stream {
				s.shape = l.m.Shapes[m.Shape]
			}
		}
	}
	if s.shape == nil {
		return fmt.Errorf("%s has no event stream in its output", o.Name)
	}
	results := o.h.call(reflect.ValueOf(ctx), in, reflect.ValueOf(s))
	err, _ = results[0].Interface().(error)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.started && err != nil:
		return err
	case !s.started:
		return s.start(nil)
	case err != nil && ctx.Err() == nil:
		return s.exception(err)
	}
	return nil
}

func (s *eventStream) Start(out any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return errors.New("Start comes before the first Send, and once")
	}
	return s.start(out)
}

// start writes the head and, for the RPC protocols, the initial response.
func (s *eventStream) start(out any) error {
	s.started = true
	x := s.x
	body, contentType := []byte("{}"), x.jsonContentType()[0]
	if x.t.proto == awsCBOR {
		body, contentType = codec.AppendCBORClose(codec.AppendCBOROpen(nil)), codec.AWSCBOR
	}
	if out != nil {
		v := reflect.ValueOf(out).Elem()
		p, err := s.l.codec.Plan(v.Type(), s.output)
		if err != nil {
			return err
		}
		if x.t.proto == restJSON || x.t.proto == restXML {
			p.EncodeBound(v, x.w.Header())
		}
		if body = nil; x.t.proto == awsCBOR {
			body = p.AppendCBOR(body, codec.EpochMillis, v)
		} else {
			body = p.AppendJSON(body, v)
		}
	}
	x.head(http.StatusOK, []string{"application/vnd.amazon.eventstream"}, -1)
	if x.t.proto == awsJSON || x.t.proto == awsCBOR {
		return s.message([][2]string{{":message-type", "event"}, {":event-type", "initial-response"}, {":content-type", contentType}}, body)
	}
	return s.flush()
}

func (s *eventStream) Send(event any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started {
		if err := s.start(nil); err != nil {
			return err
		}
	}
	v := reflect.ValueOf(event)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("an event is a pointer to a member of the stream's union, not a %T", event)
	}
	v = v.Elem()
	_, name, _ := strings.Cut(v.Type().Name(), "Member")
	value := v.FieldByName("Value")
	for _, m := range s.shape.Members {
		if !strings.EqualFold(m.Name, name) || !value.IsValid() {
			continue
		}
		p, err := s.l.codec.Plan(value.Type(), m.Shape)
		if err != nil {
			return err
		}
		body, contentType := p.AppendEvent(nil, s.x.t.proto == awsCBOR, value)
		return s.message([][2]string{{":message-type", "event"}, {":event-type", m.Name}, {":content-type", contentType}}, body)
	}
	return fmt.Errorf("%T is no event of %s", event, s.shape.Name)
}

// exception is the stream's last message.
func (s *eventStream) exception(err error) error {
	f := s.x.fault(err)
	body, contentType := append(codec.AppendJSONString([]byte(`{"message":`), f.message), '}'), "application/json"
	if s.x.t.proto == awsCBOR {
		body, contentType = codec.AppendCBORText(codec.AppendCBORText(codec.AppendCBOROpen(nil), "message"), f.message), codec.AWSCBOR
		body = codec.AppendCBORClose(body)
	}
	return s.message([][2]string{{":message-type", "exception"}, {":exception-type", f.name}, {":content-type", contentType}}, body)
}

// message writes one frame: lengths, their CRC, headers, payload, CRC of all.
func (s *eventStream) message(headers [][2]string, body []byte) error {
	b := append(s.buf[:0], make([]byte, 12)...)
	for _, h := range headers {
		b = append(append(b, byte(len(h[0]))), h[0]...)
		b = append(b, 7) // a string
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(h[1]))), h[1]...)
	}
	headerLen := len(b) - 12
	b = append(b, body...)
	binary.BigEndian.PutUint32(b[0:], uint32(len(b)+4))
	binary.BigEndian.PutUint32(b[4:], uint32(headerLen))
	binary.BigEndian.PutUint32(b[8:], crc32.ChecksumIEEE(b[:8]))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	s.buf = b
	if _, err := s.x.w.Write(b); err != nil {
		return err
	}
	return s.flush()
}

func (s *eventStream) flush() error { return http.NewResponseController(s.x.w).Flush() }
