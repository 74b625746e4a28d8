package store_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

// ship is the row of the tests.
type ship struct {
	Name, Port string
	Crew       []string
	Cargo      int
}

var ships = store.NewTable("test.ships", func(s ship) string { return s.Name },
	store.Index[ship]{Name: "port", Values: func(s ship) []string { return []string{s.Port} }},
	store.Index[ship]{Name: "crew", Values: func(s ship) []string { return s.Crew }})

// ports are rows without an index; their key may differ from what JSON keeps.
type port struct {
	Name   string
	Berths int
	Lost   string `json:"-"`
	Odd    any
}

var ports = store.NewTable("test.ports", func(p port) string { return p.Name + p.Lost })

// children are what this binary does when a test starts it again.
var children = map[string]func(){
	"etcd":  childEtcd,
	"crash": childCrash,
	"count": childCount,
	"lead":  childLead,
	"full":  childFull,
}

func TestMain(m *testing.M) {
	if child := children[os.Getenv("STORE_TEST_CHILD")]; child != nil {
		child()
		os.Exit(0)
	}
	code := m.Run()
	external.stop()
	old.stop()
	os.Exit(code)
}

// self returns this binary as a child of the given kind.
func self(kind string, args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), "STORE_TEST_CHILD="+kind)
	c.Stderr = os.Stderr
	return c
}

// etcdProcess is an external etcd, started when first needed.
type etcdProcess struct {
	start func(p *etcdProcess) error
	once  sync.Once
	cmd   *exec.Cmd
	addr  string
	dir   string
	err   error
}

var (
	external = &etcdProcess{start: startSelf}
	old      = &etcdProcess{start: startOld}
)

// endpoint returns the address of the etcd.
func (p *etcdProcess) endpoint(t testing.TB) string {
	t.Helper()
	p.once.Do(func() {
		if p.dir, p.err = os.MkdirTemp("", "etcd"); p.err == nil {
			p.err = p.start(p)
		}
	})
	if p.err != nil {
		t.Fatal(p.err)
	}
	return p.addr
}

func (p *etcdProcess) stop() {
	if p.cmd != nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
	os.RemoveAll(p.dir)
}

// startSelf runs this binary's etcd.
func startSelf(p *etcdProcess) error {
	p.cmd = self("etcd", p.dir)
	in, err := p.cmd.StdinPipe() // its end is the child's
	if err != nil {
		return err
	}
	_ = in
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	p.addr = strings.TrimSpace(line)
	return err
}

// childEtcd serves etcd on a free port until its input ends.
func childEtcd() {
	c := embed.NewConfig()
	c.Dir = os.Args[1]
	free := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	c.ListenClientUrls, c.ListenPeerUrls = free, free
	c.LogLevel, c.UnsafeNoFsync = "fatal", true
	c.TickMs, c.ElectionMs = 20, 200
	e, err := embed.StartEtcd(c)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	<-e.Server.ReadyNotify()
	fmt.Println(e.Clients[0].Addr())
	io.Copy(io.Discard, os.Stdin)
}

// oldEtcd is the oldest etcd that the store is tested with, Debian's 3.4.
const oldEtcd = "/usr/bin/etcd"

func startOld(p *etcdProcess) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.addr = l.Addr().String()
	l.Close()
	p.cmd = exec.Command(oldEtcd, "--data-dir", p.dir, "--log-level", "fatal",
		"--listen-client-urls", "http://"+p.addr, "--advertise-client-urls", "http://"+p.addr,
		"--listen-peer-urls", "http://127.0.0.1:0")
	if err := p.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", p.addr)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

// place is a kind of store to run the contract against.
type place struct {
	name   string
	shared bool // several stores may be open on the same state
	config func(t *testing.T) store.Config
}

// everywhere runs f against each kind of store, each time on an empty state.
func everywhere(t *testing.T, f func(t *testing.T, p place)) {
	places := []place{
		{"embedded", false, func(t *testing.T) store.Config { return store.Config{Dir: t.TempDir(), UnsafeNoSync: true} }},
		{"external", true, func(t *testing.T) store.Config { return prefixed(t, external.endpoint(t)) }},
	}
	if _, err := os.Stat(oldEtcd); err == nil {
		places = append(places, place{"old", true, func(t *testing.T) store.Config { return prefixed(t, old.endpoint(t)) }})
	}
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) { f(t, p) })
	}
}

var prefixes atomic.Int32

// prefixed gives each test keys of its own.
func prefixed(t *testing.T, addr string) store.Config {
	return store.Config{Endpoints: []string{addr}, Prefix: fmt.Sprintf("/%s/%d/", t.Name(), prefixes.Add(1))}
}

// open opens a store that is closed when the test ends, if it still is open.
func open(t *testing.T, c store.Config) *store.DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	db, err := store.Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// update commits f or fails the test.
func update(t *testing.T, db *store.DB, f func(tx *store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// put commits rows or fails the test.
func put(t *testing.T, db *store.DB, rows ...ship) {
	t.Helper()
	update(t, db, func(tx *store.Tx) error {
		for _, s := range rows {
			if err := ships.Put(tx, s); err != nil {
				return err
			}
		}
		return nil
	})
}

// get reads a row.
func get(db *store.DB, name string) (s ship, ok bool) {
	db.View(func(r store.Reader) error {
		s, ok = ships.Get(r, name)
		return nil
	})
	return s, ok
}

// eventually polls until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func TestHelperOpens(t *testing.T) {
	start := time.Now()
	db := storetest.Open(t)
	put(t, db, ship{Name: "a"})
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("a store for tests took %v to open", took)
	}
	if s, ok := get(db, "a"); !ok || s.Name != "a" {
		t.Errorf("got %v %v", s, ok)
	}
}
