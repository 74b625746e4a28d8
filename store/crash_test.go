package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/dhowhq/dhow/store"
)

// childCrash writes rows from several goroutines until it is killed, and says
// after each which one it wrote. Arguments: directory, number of the run.
func childCrash() {
	db, err := store.Open(context.Background(), store.Config{Dir: os.Args[1]})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%s-%d-%d", os.Args[2], w, i)
				err := db.Update(context.Background(), func(tx *store.Tx) error {
					if err := ships.Put(tx, ship{Name: name, Port: "p" + os.Args[2], Cargo: i}); err != nil {
						return err
					}
					return ships.Put(tx, ship{Name: name + "-twin", Cargo: i})
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				os.Stdout.WriteString(name + " " + strconv.Itoa(i) + "\n")
			}
		}()
	}
	select {}
}

// TestKill kills a process in the middle of its writes, three times on one
// directory, and finds all that was acknowledged.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acked := map[string]int{}
	for run := range 3 {
		cmd := self("crash", dir, strconv.Itoa(run))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := 0
		for in := bufio.NewScanner(out); in.Scan(); lines++ {
			if lines == 1000 {
				cmd.Process.Kill()
			}
			name, cargo, _ := strings.Cut(in.Text(), " ")
			acked[name], _ = strconv.Atoi(cargo)
		}
		cmd.Wait()
		if lines < 1000 {
			t.Fatalf("run %d: the child wrote %d rows only", run, lines)
		}
	}
	db := open(t, store.Config{Dir: dir})
	db.View(func(r store.Reader) error {
		for name, cargo := range acked {
			s, ok := ships.Get(r, name)
			twin, too := ships.Get(r, name+"-twin")
			if !ok || !too || s.Cargo != cargo || twin.Cargo != cargo {
				t.Errorf("acknowledged row %s: %v %v, its twin: %v %v", name, s, ok, twin, too)
			}
		}
		found := 0
		for run := range 3 {
			found += len(names(ships.By(r, "port", "p"+strconv.Itoa(run))))
		}
		if 2*found != ships.Len(r) {
			t.Errorf("%d rows, of which %d in the index: half a transaction", ships.Len(r), found)
		}
		return nil
	})
	put(t, db, ship{Name: "still writes"})
}

// childCount writes rows and says so. Arguments: directory, writers, rows each.
func childCount() {
	db, err := store.Open(context.Background(), store.Config{Dir: os.Args[1]})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	writers, _ := strconv.Atoi(os.Args[2])
	each, _ := strconv.Atoi(os.Args[3])
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				err := db.Update(context.Background(), func(tx *store.Tx) error {
					return ships.Put(tx, ship{Name: fmt.Sprint(w, "-", i)})
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				os.Stdout.WriteString("acknowledged\n")
			}
		})
	}
	wg.Wait()
}

// syncs runs childCount under strace and returns its acknowledgements (a) and
// completed syncs of etcd's log (s), in their order.
func syncs(t *testing.T, writers, each int) string {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	child := self("count", t.TempDir(), strconv.Itoa(writers), strconv.Itoa(each))
	child.Args = append([]string{strace, "-f", "-y", "-o", trace, "-e", "trace=fdatasync,fsync,write"}, child.Args...)
	child.Path = strace
	if err := child.Run(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("strace is installed and does not work: ", err)
		}
		t.Skip("strace does not work here: ", err)
	}
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	var order strings.Builder
	syncing := map[string]bool{} // by thread
	for line := range strings.Lines(string(data)) {
		thread, call, _ := strings.Cut(line, " ")
		switch {
		case strings.Contains(call, "acknowledged"):
			order.WriteByte('a')
		case strings.Contains(call, "sync(") && strings.Contains(call, "/wal/"):
			if strings.Contains(call, "unfinished") {
				syncing[thread] = true
			} else if strings.HasSuffix(call, "= 0\n") {
				order.WriteByte('s')
			}
		case strings.Contains(call, "sync resumed") && syncing[thread]:
			delete(syncing, thread)
			if strings.HasSuffix(call, "= 0\n") {
				order.WriteByte('s')
			}
		}
	}
	return order.String()
}

// TestSyncsBeforeReply finds a completed sync of the log before each reply of
// a single writer.
func TestSyncsBeforeReply(t *testing.T) {
	order := syncs(t, 1, 50)
	if n := strings.Count(order, "a"); n != 50 {
		t.Fatalf("%d acknowledgements, want 50", n)
	}
	if i := strings.Index(order, "aa"); i >= 0 {
		t.Errorf("acknowledgement %d came without a sync: %s", strings.Count(order[:i+2], "a"), order)
	}
}

// TestWritersShareSyncs finds far fewer syncs than replies for many writers.
func TestWritersShareSyncs(t *testing.T) {
	order := syncs(t, 64, 20)
	replies, synced := strings.Count(order, "a"), strings.Count(order, "s")
	if replies != 64*20 {
		t.Fatalf("%d acknowledgements, want %d", replies, 64*20)
	}
	if synced < 20 || synced > replies/4 {
		t.Errorf("%d syncs for %d replies", synced, replies)
	}
	t.Logf("%d syncs for %d replies", synced, replies)
}
