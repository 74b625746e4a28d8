package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestConn asks one server twice over a connection, then one that says no.
func TestConn(t *testing.T) {
	refuse := false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse {
			http.Error(w, "no room", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "%s of %s", r.Header.Get("X-Amz-Target"), r.Header.Get("Authorization")[:20])
	}))
	defer s.Close()
	c := dial(t.Context(), s.URL, 1)
	defer hangUp(c)
	for range 2 {
		got, err := c[0].do(sqsAPI.request("SendMessage", "{}"))
		if err != nil || string(got) != "AmazonSQS.SendMessage of AWS4-HMAC-SHA256 Cre" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	refuse = true
	if _, err := c[0].do(sqsAPI.request("SendMessage", "{}")); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("a refusal is %v", err)
	}
}

func TestReadHead(t *testing.T) {
	for _, c := range []struct {
		in   string
		want head
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", head{200, 5, false}},
		{"HTTP/1.1 400 Bad\r\nX: y\r\ncontent-length:7\r\nconnection: Close\r\n\r\n", head{400, 7, true}},
		{"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", head{200, 0, true}},
	} {
		if got, err := readHead(bufio.NewReader(strings.NewReader(c.in))); err != nil || got != c.want {
			t.Errorf("%q is %+v, %v", c.in, got, err)
		}
	}
	for _, bad := range []string{"", "HTTP/1.1\r\n\r\n", "HTTP/1.1 x00 OK\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n"} {
		if got, err := readHead(bufio.NewReader(strings.NewReader(bad))); err == nil {
			t.Errorf("%q is %+v", bad, got)
		}
	}
}

// TestLetters marks letters as a sender does, and finds them as a receiver does.
func TestLetters(t *testing.T) {
	l := newLetter([]byte(`{"MessageBody":"a ` + stamp + ` b"}`))
	one := string(l.mark(42))
	if one != `{"MessageBody":"a ~00000042~ b"}` {
		t.Errorf("a letter is %s", one)
	}
	var got []int
	marks([]byte(one+"~~123~"+string(l.mark(99_999_999))+"~0000004"), func(n int) { got = append(got, n) })
	if !slices.Equal(got, []int{42, 99_999_999}) {
		t.Errorf("marks are %v", got)
	}
	if bare := newLetter([]byte("x")); string(bare.mark(7)) != "x" {
		t.Error("a letter without a stamp has changed")
	}
}

// TestTrips counts a message once, whatever comes of it again or of others.
func TestTrips(t *testing.T) {
	tr := newTrips(10, 2)
	for i := range tr.sent {
		tr.sent[i].Store(int64(time.Second))
	}
	for _, n := range []int{9, 12, 10, 10, 11} {
		tr.arrive(n, epoch.Add(time.Second+time.Duration(n)*time.Millisecond))
	}
	got, err := tr.wait(t.Context())
	if err != nil || !slices.Equal(got, []time.Duration{10 * time.Millisecond, 11 * time.Millisecond}) {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestRemove deletes all that was received, in either writing of JSON.
func TestRemove(t *testing.T) {
	q := &queue{url: "http://u/q", removal: sqsAPI.head("DeleteMessageBatch")}
	request, n := q.remove([]byte(`{"Messages":[{"Body":"x","ReceiptHandle":"AA=="},{"ReceiptHandle": "BB"}]}`))
	const want = `{"QueueUrl":"http://u/q","Entries":[{"Id":"a","ReceiptHandle":"AA=="},{"Id":"b","ReceiptHandle":"BB"}]}`
	if n != 2 || !bytes.HasSuffix(request, []byte(fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(want), want))) {
		t.Errorf("got %d: %s", n, request)
	}
	if request, n := q.remove([]byte("{}")); request != nil || n != 0 {
		t.Errorf("got %d: %s", n, request)
	}
}

func TestMetricsOfRuns(t *testing.T) {
	got := allMetricsOf("BenchmarkMatch/10-2 5 30 ns/op\nBenchmarkMatch/10000-2 5 40 ns/op\nBenchmarkMatch/10000-2 5 50 ns/op\n", "BenchmarkMatch/10000")
	if len(got) != 2 || got[0]["ns/op"] != 40 || got[1]["ns/op"] != 50 {
		t.Errorf("got %v", got)
	}
}
