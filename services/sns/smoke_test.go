package sns

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

// A message goes to every queue whose filter it passes, as a document or raw.
func TestFanOut(t *testing.T) {
	f := newFixture(t)
	a := f.topic("a")
	all, raw, some := f.queue("all"), f.queue("raw"), f.queue("some")
	f.subscribe(a, "sqs", all)
	f.subscribe(a, "sqs", raw, "RawMessageDelivery", "true")
	f.subscribe(a, "sqs", some, "FilterPolicy", `{"kind": ["large"]}`)
	f.publish(a, "one")
	_, err := f.client.Publish(f.ctx, &sns.PublishInput{TopicArn: &a, Message: ptr("two"), MessageAttributes: map[string]types.MessageAttributeValue{
		"kind": {DataType: ptr("String"), StringValue: ptr("large")}, "blob": {DataType: ptr("Binary"), BinaryValue: []byte{2, 3, 4}}}})
	must(t, err)
	got := map[string]bool{}
	for _, d := range f.receive(all, 2) {
		got[unjson(t, d.Body)["Message"].(string)] = true
	}
	if !got["one"] || !got["two"] {
		t.Errorf("%v", got)
	}
	for _, d := range f.receive(raw, 2) {
		if d.Body == "two" && (d.Attributes["kind"].String != "large" || string(d.Attributes["blob"].Binary) != "\x02\x03\x04") {
			t.Errorf("%+v", d.Attributes)
		}
	}
	doc := unjson(t, f.receive(some, 1)[0].Body)
	if doc["Message"] != "two" || doc["MessageAttributes"].(map[string]any)["blob"].(map[string]any)["Value"] != "AgME" {
		t.Errorf("%v", doc)
	}
	f.none(some)
}

// verify checks a document's signature with the certificate that it names, as
// the developer guide says.
func verify(t *testing.T, doc map[string]any, certURL string) {
	t.Helper()
	names := []string{"Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	if doc["Type"] == "Notification" {
		names = []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	}
	var text strings.Builder
	for _, n := range names {
		if v, ok := doc[n].(string); ok {
			text.WriteString(n + "\n" + v + "\n")
		}
	}
	resp, err := http.Get(certURL)
	must(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	must(t, err)
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatalf("%s: %s", certURL, data)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	sig, err := base64.StdEncoding.DecodeString(doc["Signature"].(string))
	must(t, err)
	key := cert.PublicKey.(*rsa.PublicKey)
	if doc["SignatureVersion"] == "2" {
		sum := sha256.Sum256([]byte(text.String()))
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig)
	} else {
		sum := sha1.Sum([]byte(text.String()))
		err = rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], sig)
	}
	if err != nil {
		t.Errorf("signature of version %v: %v", doc["SignatureVersion"], err)
	}
}

// Signatures of both versions hold, of notifications and of confirmations.
func TestSignatures(t *testing.T) {
	for _, version := range []string{"1", "2"} {
		f := newFixture(t)
		a := f.topic("signed", "SignatureVersion", version)
		q := f.queue("q")
		p := newPost(t)
		f.subscribe(a, "sqs", q)
		f.subscribe(a, "http", p.URL)
		confirm := unjson(t, p.next(t).body)
		verify(t, confirm, confirm["SigningCertURL"].(string))
		_, err := f.client.Publish(f.ctx, &sns.PublishInput{TopicArn: &a, Subject: ptr("a <subject> & more"), Message: ptr("line\nline \"é\" <&>")})
		must(t, err)
		doc := unjson(t, f.receive(q, 1)[0].Body)
		if doc["SignatureVersion"] != version || !strings.HasPrefix(doc["SigningCertURL"].(string), f.url+"/SimpleNotificationService-") {
			t.Errorf("%v", doc)
		}
		verify(t, doc, doc["SigningCertURL"].(string))
	}
}
