package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// setArg makes this program a handler of net/http over Pebble: what no durable
// queue over HTTP beats. It is a process of its own, as dhow is.
const setArg = "set"

// setter answers
//
//	/               when the body is set in Pebble, synced
//	/answer?bytes=N with so many bytes, and sets nothing
//	/hand           as / does, after it has handed the body to a poll
//	/poll           with a body that is handed over
//	/hold           after 20 s
//	/live           with the MiB of heap and stacks in use
//	/raw?records=R&bytes=B&span=D with the records a second that 16 writers set in batches
type setter struct {
	db      *pebble.DB
	batches func() (*pebble.DB, error) // of /raw
	n       atomic.Uint64
	handed  chan []byte
}

func serveSet(dir string, out io.Writer) error {
	db, err := pebble.Open(dir, &pebble.Options{Logger: silent{}})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "http://"+l.Addr().String())
	s := &setter{db: db, handed: make(chan []byte, 1<<16)}
	s.batches = sync.OnceValues(func() (*pebble.DB, error) { // memory enough that it never waits for itself
		return pebble.Open(filepath.Join(dir, "batches"), &pebble.Options{Logger: silent{}, MemTableSize: 64 << 20, MemTableStopWritesThreshold: 4})
	})
	mux := http.NewServeMux()
	for path, f := range map[string]func(*http.Request, []byte) ([]byte, error){"/": s.set, "/answer": s.answer, "/hand": s.hand, "/poll": s.poll, "/hold": s.hold, "/live": s.live, "/raw": s.raw} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err == nil {
				body, err = f(r, body)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			w.Write(body)
		})
	}
	return http.Serve(l, mux)
}

func (s *setter) key() []byte { return binary.BigEndian.AppendUint64(nil, s.n.Add(1)) }

func (s *setter) set(_ *http.Request, body []byte) ([]byte, error) {
	return nil, s.db.Set(s.key(), body, pebble.Sync)
}

func (s *setter) answer(r *http.Request, _ []byte) ([]byte, error) {
	n, err := strconv.Atoi(r.FormValue("bytes"))
	return make([]byte, n), err
}

func (s *setter) hand(r *http.Request, body []byte) ([]byte, error) {
	_, err := s.set(r, body)
	s.handed <- body
	return nil, err
}

func (s *setter) poll(r *http.Request, _ []byte) ([]byte, error) {
	select {
	case body := <-s.handed:
		return body, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func (s *setter) hold(r *http.Request, _ []byte) ([]byte, error) {
	select {
	case <-time.After(20 * time.Second):
		return nil, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func (s *setter) live(*http.Request, []byte) ([]byte, error) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return json.Marshal(float64(m.HeapAlloc+m.StackInuse) / (1 << 20))
}

func (s *setter) raw(r *http.Request, _ []byte) ([]byte, error) {
	records, err := strconv.Atoi(r.FormValue("records"))
	if err != nil {
		return nil, err
	}
	size, err := strconv.Atoi(r.FormValue("bytes"))
	if err != nil {
		return nil, err
	}
	span, err := time.ParseDuration(r.FormValue("span"))
	if err != nil {
		return nil, err
	}
	db, err := s.batches()
	if err != nil {
		return nil, err
	}
	var done atomic.Int64
	began, values := time.Now(), orders(10*variety, size)
	err = together(connections, func(int) error {
		for n := 0; time.Since(began) < span; {
			batch := db.NewBatch()
			for range records {
				n++
				if err := batch.Set(s.key(), []byte(values[n%len(values)]), nil); err != nil {
					return err
				}
			}
			if err := batch.Commit(pebble.Sync); err != nil {
				return err
			}
			done.Add(int64(records))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(float64(done.Load()) / time.Since(began).Seconds())
}

type silent struct{}

func (silent) Infof(string, ...any)         {}
func (silent) Errorf(string, ...any)        {}
func (silent) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

// set is that process, running.
type set struct {
	process
	url string
}

func (s *set) pid() int { return s.cmd.Process.Pid }

func startSet(dir string) (*set, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &set{process: process{exec.Command(self, setArg, dir)}}
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("the handler over Pebble did not start: %w", err)
	}
	s.url = strings.TrimSpace(line)
	return s, nil
}

// plain is a request to it.
func plain(path, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// raw returns the records a second of Pebble alone, in batches.
func (s *set) raw(ctx context.Context, records, size int, span time.Duration) (float64, error) {
	return s.number(ctx, fmt.Sprintf("/raw?records=%d&bytes=%d&span=%s", records, size, span))
}

// live is what it has in use, in MiB.
func (s *set) live(ctx context.Context) (float64, error) { return s.number(ctx, "/live") }

func (s *set) number(ctx context.Context, path string) (n float64, err error) {
	c := dial(ctx, s.url, 1)
	defer hangUp(c)
	answer, err := c[0].do(plain(path, ""))
	if err != nil {
		return 0, err
	}
	return n, json.Unmarshal(answer, &n)
}
