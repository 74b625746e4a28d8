package main

import "testing"

func TestMessages(t *testing.T) {
	for n, want := range map[int64]string{0: "0 messages", 1: "1 message", 2: "2 messages"} {
		if got := messages(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}
