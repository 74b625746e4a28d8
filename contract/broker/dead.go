package broker

import (
	"context"
	"errors"
	"fmt"
)

// Dead is a message that was refused, on its way to a queue.
type Dead struct {
	Queue      string // ARN
	From       Resource
	Why        error // Verdict.Err
	Body       string
	Attributes map[string]Attribute // of the message, or what else there is to know of it
	Group      string               // of FIFO: the message's group and deduplication id
	Dedup      string
}

// Attribute is an attribute of a message. Type is String, Number or Binary, or
// one of these with a suffix; Binary has its value in Binary.
type Attribute struct {
	Type   string
	String string
	Binary []byte
}

// ErrNotTaken is wrapped by what a Bury says of letters that no later attempt can
// bring into their queue.
var ErrNotTaken = errors.New("the dead-letter queue does not take it")

// Bury takes a refused message to its dead-letter queue, where it is on disk when
// it returns, by the id that is returned. Of what its queue never takes, the
// error wraps ErrNotTaken.
type Bury func(ctx context.Context, d Dead) (id string, err error)

// Explain is what a dead letter says of why it is one, as attributes: in the
// names that EventBridge has for its own.
func (d *Dead) Explain() map[string]string {
	return map[string]string{"ERROR_CODE": Code, "ERROR_MESSAGE": d.Why.Error(), "SOURCE_ARN": d.From.ARN()}
}

// Bury takes a message with the verdict v to its dead-letter queue. Errors:
// *Refusal where it is refused there too, others that may pass.
func (v Verdict) Bury(ctx context.Context, bury Bury, d Dead) (id string, err error) {
	d.Queue, d.Why = v.DeadLetter, v.Err
	if bury == nil {
		return "", v.lost("there are no queues")
	}
	id, err = bury(ctx, d)
	if errors.Is(err, ErrNotTaken) {
		return "", v.lost(err.Error())
	}
	return id, err
}

func (v Verdict) lost(why string) *Refusal {
	return &Refusal{Reason: fmt.Sprintf("%v. It cannot go to %s either: %s", v.Err, v.DeadLetter, why)}
}
