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
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/internal/sdktest"
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

// ledger is what producers and consumers were told, kept outside of what is
// killed.
type ledger struct {
	mu       sync.Mutex
	sent     map[string]bool      // acknowledged
	received map[string]time.Time // when it was asked for
	deleted  map[string]bool      // acknowledged
	early    int                  // deliveries inside the visibility timeout of another
}

const killVisibility = 2 * time.Second

// TestKill kills the process twenty times while eight producers and eight
// consumers are at it: nothing that was acknowledged is lost, what was deleted
// stays deleted, and no message is given out twice within its visibility.
func TestKill(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 3
	}
	dir := t.TempDir()
	l := &ledger{sent: map[string]bool{}, received: map[string]time.Time{}, deleted: map[string]bool{}}
	queueURL := "http://any/" + account + "/killed"
	for n := range kills {
		cmd, url := startChild(t, dir)
		c := killClient(url)
		if n == 0 {
			if _, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("killed"),
				Attributes: map[string]string{"VisibilityTimeout": fmt.Sprint(int(killVisibility.Seconds()))}}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() { l.produce(ctx, c, queueURL, fmt.Sprint(n, "-", w)) })
			wg.Go(func() { l.consume(ctx, t, c, queueURL) })
		}
		time.Sleep(time.Duration(200+37*n%300) * time.Millisecond) // the moment of the kill, nothing waits for it
		cmd.Process.Kill()
		cancel()
		cmd.Wait()
		wg.Wait()
	}
	cmd, url := startChild(t, dir)
	defer cmd.Wait()
	defer cmd.Process.Kill()
	l.drain(t, killClient(url), queueURL)
	lost := 0
	for body := range l.sent {
		if _, ok := l.received[body]; !ok {
			lost++
		}
	}
	if lost > 0 || l.early > 0 || len(l.sent) < 100 {
		t.Errorf("of %d acknowledged messages %d are lost; %d were given out twice within their visibility", len(l.sent), lost, l.early)
	}
	t.Logf("%d acknowledged, %d deleted meanwhile", len(l.sent), len(l.deleted))
}

func killClient(url string) *sqs.Client {
	return sqs.New(sqs.Options{BaseEndpoint: &url, Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider(account, "x", ""),
		RetryMaxAttempts: 1, HTTPClient: sdktest.Client()})
}

func (l *ledger) produce(ctx context.Context, c *sqs.Client, q, name string) {
	for i := 0; ctx.Err() == nil; i++ {
		body := fmt.Sprint(name, "-", i)
		if _, err := c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &q, MessageBody: &body}); err != nil {
			return
		}
		l.mu.Lock()
		l.sent[body] = true
		l.mu.Unlock()
	}
}

func (l *ledger) consume(ctx context.Context, t *testing.T, c *sqs.Client, q string) {
	for ctx.Err() == nil && l.once(ctx, t, c, q) >= 0 {
	}
}

// once receives and deletes; -1 is an error.
func (l *ledger) once(ctx context.Context, t *testing.T, c *sqs.Client, q string) int {
	asked := time.Now()
	got, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &q, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
	if err != nil {
		return -1
	}
	for _, m := range got.Messages {
		l.mu.Lock()
		// The timeout began when the message was asked for, or later.
		if before, ok := l.received[*m.Body]; ok && time.Since(before) < killVisibility {
			l.early++
		}
		if l.deleted[*m.Body] {
			t.Errorf("%s came back after it was deleted", *m.Body)
		}
		l.received[*m.Body] = asked
		l.mu.Unlock()
		if _, err := c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q, ReceiptHandle: m.ReceiptHandle}); err != nil {
			return -1
		}
		l.mu.Lock()
		l.deleted[*m.Body] = true
		l.mu.Unlock()
	}
	return len(got.Messages)
}

// drain receives until the queue is empty.
func (l *ledger) drain(t *testing.T, c *sqs.Client, q string) {
	for {
		if l.once(t.Context(), t, c, q) < 0 {
			t.Fatal("the last child fails")
		}
		a, err := c.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &q, AttributeNames: []types.QueueAttributeName{"All"}})
		if err != nil {
			t.Fatal(err)
		}
		if a.Attributes["ApproximateNumberOfMessages"] == "0" && a.Attributes["ApproximateNumberOfMessagesNotVisible"] == "0" {
			return
		}
	}
}
