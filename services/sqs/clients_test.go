package sqs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/dhowhq/dhow/internal/sdktest"
)

// clean is the environment of a client that talks to the fixture alone.
func clean(f *fixture) []string {
	return append(sdktest.Environ(), "AWS_ACCESS_KEY_ID="+account, "AWS_SECRET_ACCESS_KEY=x", "AWS_DEFAULT_REGION=eu-west-1", "AWS_REGION=eu-west-1",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1", "AWS_ENDPOINT_URL="+f.url, "DHOW_ENDPOINT="+f.url)
}

func TestGoSDK(t *testing.T) {
	f := newFixture(t)
	c := sqs.New(sqs.Options{BaseEndpoint: &f.url, Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider(account, "x", "")})
	ctx := t.Context()
	q, err := c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: q.QueueUrl, MessageBody: aws.String("hello"),
		MessageAttributes: map[string]types.MessageAttributeValue{"a": {DataType: aws.String("String"), StringValue: aws.String("b")}}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: q.QueueUrl, WaitTimeSeconds: 5, MessageAttributeNames: []string{"All"}})
	if err != nil || len(got.Messages) != 1 || *got.Messages[0].Body != "hello" {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: q.QueueUrl, ReceiptHandle: got.Messages[0].ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	_, err = c.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: q.QueueUrl, ReceiptHandle: got.Messages[0].ReceiptHandle, VisibilityTimeout: 5})
	if err == nil || !strings.Contains(err.Error(), "Message does not exist or is not available for visibility timeout change.") {
		t.Errorf("a visibility timeout of a deleted message: %v", err)
	}
}

func TestBoto3(t *testing.T) {
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		sdktest.Missing(t, "python3 has no boto3")
	}
	f := newFixture(t)
	cmd := exec.Command("python3", "testdata/boto.py", f.url)
	cmd.Env = clean(f)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "done") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestFullDisk has sends meet a full disk: in both protocols they are refused as
// what SDKs try again, and boto3 does.
func TestFullDisk(t *testing.T) {
	f := newFixture(t)
	for _, query := range []bool{false, true} {
		c := &client{f: f, query: query}
		q := c.must("CreateQueue", object{"QueueName": "q"})["QueueUrl"]
		c.must("SendMessage", object{"QueueUrl": q, "MessageBody": "a"}) // and the queue is loaded
		for op, in := range map[string]object{"SendMessage": {"MessageBody": "b"}, "SendMessageBatch": {"Entries": []any{object{"Id": "1", "MessageBody": "c"}}}} {
			in["QueueUrl"] = q
			f.faults.Refuse(0, 1)
			out := c.call(op, in)
			e, _ := out["Error"].(object)
			if status := out["ResponseMetadata"].(object)["HTTPStatusCode"]; status != 503.0 || e["Code"] != "ServiceUnavailable" || e["Type"] != "Receiver" || !strings.Contains(fmt.Sprint(e["Message"]), "full") {
				t.Errorf("%s, query %v: %v", op, query, out)
			}
			f.faults.Heal()
		}
	}
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		sdktest.Missing(t, "python3 has no boto3")
	}
	for _, mode := range []string{"legacy", "standard"} {
		f.faults.Refuse(0, 1)
		cmd := exec.Command("python3", "-c", `
import sys, boto3
from botocore.config import Config
sqs = boto3.client("sqs", endpoint_url=sys.argv[1], region_name="eu-west-1", config=Config(retries={"mode": sys.argv[2]}))
print("retries:", sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="q")["QueueUrl"], MessageBody="d")["ResponseMetadata"]["RetryAttempts"])`, f.url, mode)
		cmd.Env = append(clean(f), "AWS_MAX_ATTEMPTS=3")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "retries: 1") {
			t.Errorf("%s: %v: %s", mode, err, out)
		}
	}
}

func TestCLI(t *testing.T) {
	if err := exec.Command("aws", "--version").Run(); err != nil {
		sdktest.Missing(t, "the AWS CLI is not installed")
	}
	f := newFixture(t)
	for _, tt := range []struct{ args, want string }{
		{"create-queue --queue-name q --attributes VisibilityTimeout=40", "/" + account + "/q"},
		{"get-queue-url --queue-name q", "/" + account + "/q"},
		{"send-message --queue-url URL --message-body hello", "5d41402abc4b2a76b9719d911017c592"},
		{"get-queue-attributes --queue-url URL --attribute-names ApproximateNumberOfMessages VisibilityTimeout --query Attributes", "1\t40"},
		{"receive-message --queue-url URL --query Messages[0].Body", "hello"},
		{"purge-queue --queue-url URL", ""},
		{"list-queues --query QueueUrls", "/" + account + "/q"},
		{"delete-queue --queue-url URL", ""},
		{"get-queue-url --queue-name q", "(AWS.SimpleQueueService.NonExistentQueue) when calling the GetQueueUrl operation"},
		{"create-queue --queue-name q", "You must wait 60 seconds after deleting a queue"},
	} {
		cmd := exec.Command("aws", append([]string{"--endpoint-url", f.url, "--output", "text", "sqs"}, strings.Fields(strings.ReplaceAll(tt.args, "URL", "http://elsewhere/"+account+"/q"))...)...)
		cmd.Env = clean(f)
		out, _ := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("aws sqs %s: %q, want %q", tt.args, got, tt.want)
		}
	}
}

// TestSQSConsumer runs the npm package of that name.
func TestSQSConsumer(t *testing.T) {
	f := newFixture(t)
	cmd := sdktest.Node(t, "testdata/consumer.mjs", []string{"sqs-consumer@12", "@aws-sdk/client-sqs@3"}, f.url)
	cmd.Env = clean(f)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "done") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestCelery has a worker of Debian's Celery do twenty jobs.
func TestCelery(t *testing.T) {
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import celery, boto3, pycurl").Run(); err != nil {
		sdktest.Missing(t, "Celery for SQS is not installed (apt-get install python3-celery python3-boto3 python3-pycurl)")
	}
	f := newFixture(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "done")
	caller := exec.Command(python, "testdata/celery_app.py", file)
	caller.Env = append(clean(f), "PYTHONPATH=testdata")
	if out, err := caller.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	worker := exec.CommandContext(t.Context(), python, "-m", "celery", "-A", "celery_app", "worker", "--pool", "solo", "--loglevel", "INFO", "--without-gossip", "--without-mingle", "--without-heartbeat")
	worker.Env = append(clean(f), "PYTHONPATH=testdata")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	worker.Stdout, worker.Stderr = log, log
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	defer worker.Wait()
	defer worker.Process.Kill()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		data, _ := os.ReadFile(file)
		if strings.Count(string(data), "\n") == 20 {
			break
		}
		if time.Now().After(end) {
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("the worker did %d of 20 jobs: %s", strings.Count(string(data), "\n"), text[max(0, len(text)-2000):])
		}
	}
}
