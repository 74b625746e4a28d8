package sqs

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/journal/pebble"
	"github.com/dhowhq/dhow/queue"
	"github.com/dhowhq/dhow/store"
)

const childDir = "DHOW_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child serves from a directory until it is killed.
func child(dir string) error {
	db, err := store.Open(context.Background(), store.Config{Dir: dir + "/store"})
	if err != nil {
		return err
	}
	j, err := pebble.Open(dir+"/journal", pebble.Options{})
	if err != nil {
		return err
	}
	e := queue.New(queue.Config{DB: db, Journal: j, Log: slog.New(slog.DiscardHandler)})
	go e.Run(context.Background())
	api, err := awsapi.New(awsapi.Config{Account: account, Region: "eu-west-1"}, Service(Config{Queues: e}))
	if err != nil {
		return err
	}
	tidy := make(chan os.Signal, 1)
	signal.Notify(tidy, syscall.SIGUSR1)
	go func() {
		for range tidy {
			debug.FreeOSMemory()
		}
	}()
	fmt.Println(httptest.NewServer(api).URL)
	return <-j.Failed()
}

// startChild runs a child and returns its URL.
func startChild(t testing.TB, dir string) (*exec.Cmd, string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		cmd.Process.Kill()
		t.Fatalf("the child did not start: %v", err)
	}
	return cmd, strings.TrimSpace(line)
}
