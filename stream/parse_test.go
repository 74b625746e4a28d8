package stream

import (
	"testing"
	"time"
)

func FuzzParseHashKey(f *testing.F) {
	for _, s := range []string{"0", "340282366920938463463374607431768211455", "340282366920938463463374607431768211456", "-1", "+1", "0x10", "1_0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParseHashKey(s)
		if err != nil {
			return
		}
		if again, err := ParseHashKey(k.String()); err != nil || again != k {
			t.Errorf("%q reads as %s, which reads as %s, %v", s, k, again, err)
		}
	})
}

func FuzzParseConsumerARN(f *testing.F) {
	f.Add("arn:aws:kinesis:us-east-1:000000000000:stream/s/consumer/c:1700000000")
	f.Add("arn:aws:kinesis:::stream//consumer/:0")
	f.Fuzz(func(t *testing.T, s string) {
		ref, name, created, err := ParseConsumerARN(s)
		if err != nil {
			if !Is(err, Invalid) {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		c := Consumer{Scope: ref.Scope, Stream: ref.Name, Name: name, CreatedAt: time.Unix(created, 0)}
		if again, name2, created2, err := ParseConsumerARN(c.ARN()); err != nil || again != ref || name2 != name || created2 != created {
			t.Errorf("%q is %s, which reads as %+v %s %d, %v", s, c.ARN(), again, name2, created2, err)
		}
	})
}
