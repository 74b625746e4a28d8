package sqs

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/journal/journaltest"
	"github.com/dhowhq/dhow/journal/mem"
	"github.com/dhowhq/dhow/queue"
	"github.com/dhowhq/dhow/store"
)

const account = "111111111111"

// fixture is the service at a port.
type fixture struct {
	t      testing.TB
	url    string
	engine *queue.Engine
	faults *journaltest.Faults
	said   map[string]bool // errors that were answered: code, status, sentence
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), UnsafeNoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	var faults journaltest.Faults
	e := queue.New(queue.Config{DB: db, Journal: faults.Over(mem.New()), Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.Run(ctx)
	}()
	api, err := awsapi.New(awsapi.Config{Account: account, Region: "eu-west-1"}, Service(Config{Queues: e}))
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Verify(); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(api)
	t.Cleanup(func() {
		s.Close()
		cancel()
		<-ended
		db.Close()
	})
	return &fixture{t: t, url: s.URL, engine: e, faults: &faults, said: map[string]bool{}}
}

// object is a message of the API as botocore shows it.
type object = map[string]any

// client calls the API in one of its two protocols, and answers as botocore
// does: with the error and the status in the answer.
type client struct {
	f     *fixture
	query bool
}

func (c *client) call(op string, in object) object {
	c.f.t.Helper()
	call := c.viaJSON
	if c.query {
		call = c.viaQuery
	}
	status, out := call(op, in)
	if e, ok := out["Error"].(object); ok {
		c.f.said[fmt.Sprintf("%v\t%d\t%v", e["Code"], status, e["Message"])] = true
	}
	out["ResponseMetadata"] = object{"HTTPStatusCode": float64(status)}
	return out
}

// must is call for what has to succeed.
func (c *client) must(op string, in object) object {
	c.f.t.Helper()
	out := c.call(op, in)
	if out["Error"] != nil {
		c.f.t.Fatalf("%s %v: %v", op, in, out["Error"])
	}
	return out
}

func (c *client) viaJSON(op string, in object) (int, object) {
	body, err := json.Marshal(in)
	if err != nil {
		c.f.t.Fatal(err)
	}
	req, _ := http.NewRequest("POST", c.f.url, bytes.NewReader(body))
	req.Header.Set("X-Amz-Target", "AmazonSQS."+op)
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	status, data, h := c.do(req)
	out := object{}
	if err := json.Unmarshal(data, &out); err != nil && len(data) > 0 {
		c.f.t.Fatalf("%s: %v in %s", op, err, data)
	}
	if status != 200 {
		code, side, _ := strings.Cut(h.Get("x-amzn-query-error"), ";")
		_, name, ok := strings.Cut(out["__type"].(string), "#")
		if !ok {
			name = out["__type"].(string)
		}
		return status, object{"Error": object{"Code": code, "Message": out["message"], "QueryErrorCode": name, "Type": side}}
	}
	return status, out
}

func (c *client) do(req *http.Request) (int, []byte, http.Header) {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.f.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		c.f.t.Fatal(err)
	}
	return res.StatusCode, data, res.Header
}

// The names of the query protocol, written down a second time: from the API
// reference of 2012-11-05.
var oldNames = map[string]string{"Attributes": "Attribute", "tags": "Tag", "Tags": "Tag", "AttributeNames": "AttributeName",
	"MessageAttributeNames": "MessageAttributeName", "MessageSystemAttributeNames": "MessageSystemAttributeName", "MessageAttributes": "MessageAttribute", "MessageSystemAttributes": "MessageSystemAttribute",
	"AWSAccountIds": "AWSAccountId", "Actions": "ActionName", "TagKeys": "TagKey"}

func (c *client) viaQuery(op string, in object) (int, object) {
	form := url.Values{"Action": {op}, "Version": {"2012-11-05"}}
	path := "/"
	for k, v := range in {
		name := oldNames[k]
		switch {
		case k == "Entries":
			name = op + "RequestEntry"
		case k == "QueueUrl": // as old clients do: the queue is in the path
			u, err := url.Parse(v.(string))
			if err != nil {
				c.f.t.Fatal(err)
			}
			path = u.Path
			continue
		case name == "":
			name = k
		}
		flatten(form, name, v)
	}
	req, _ := http.NewRequest("POST", c.f.url+path, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, data, _ := c.do(req)
	var root element
	if err := xml.Unmarshal(data, &root); err != nil {
		c.f.t.Fatalf("%s: %v in %s", op, err, data)
	}
	if status != 200 {
		e := root.child("Error")
		return status, object{"Error": object{"Code": e.text("Code"), "Message": e.text("Message"), "Type": e.text("Type"), "Detail": nil}}
	}
	if root.XMLName.Local != op+"Response" || root.XMLName.Space != "http://queue.amazonaws.com/doc/2012-11-05/" || root.child("ResponseMetadata").text("RequestId") == "" {
		c.f.t.Fatalf("%s: %s", op, data)
	}
	return status, root.child(op + "Result").object()
}

func flatten(form url.Values, name string, v any) {
	switch v := v.(type) {
	case object:
		if v["DataType"] != nil || v["Id"] != nil {
			for k, f := range v {
				if old := oldNames[k]; old != "" {
					k = old
				}
				flatten(form, name+"."+k, f)
			}
			return
		}
		key, value, i := "Name", "Value", 0
		if name == "Tag" {
			key = "Key"
		}
		for k, f := range v {
			i++
			form.Set(fmt.Sprintf("%s.%d.%s", name, i, key), k)
			flatten(form, fmt.Sprintf("%s.%d.%s", name, i, value), f)
		}
	case []any:
		for i, e := range v {
			flatten(form, fmt.Sprintf("%s.%d", name, i+1), e)
		}
	case []string:
		for i, e := range v {
			form.Set(fmt.Sprintf("%s.%d", name, i+1), e)
		}
	case []byte:
		form.Set(name, base64.StdEncoding.EncodeToString(v))
	default:
		form.Set(name, fmt.Sprint(v))
	}
}

// element is any XML.
type element struct {
	XMLName  xml.Name
	Text     string    `xml:",chardata"`
	Children []element `xml:",any"`
}

func (e *element) child(name string) *element {
	for i := range e.Children {
		if e.Children[i].XMLName.Local == name {
			return &e.Children[i]
		}
	}
	return &element{}
}

func (e *element) text(name string) string { return e.child(name).Text }

// object reads a result, with the names of the JSON protocol.
func (e *element) object() object {
	out := object{}
	list := func(name string, v any) {
		l, _ := out[name].([]any)
		out[name] = append(l, v)
	}
	entry := func(name, key, value string) {
		m, _ := out[name].(object)
		if m == nil {
			m = object{}
		}
		m[key] = value
		out[name] = m
	}
	for i := range e.Children {
		c := &e.Children[i]
		switch name := c.XMLName.Local; name {
		case "Message":
			if len(c.Children) == 0 { // of an error
				out[name] = c.Text
				continue
			}
			list("Messages", c.object())
		case "QueueUrl":
			if len(e.Children) > 1 {
				list("QueueUrls", c.Text)
			}
			out[name] = c.Text
		case "Attribute":
			entry("Attributes", c.text("Name"), c.text("Value"))
		case "Tag":
			entry("Tags", c.text("Key"), c.text("Value"))
		case "MessageAttribute":
			m, _ := out["MessageAttributes"].(object)
			if m == nil {
				m = object{}
			}
			m[c.text("Name")] = c.child("Value").object()
			out["MessageAttributes"] = m
		case "SendMessageBatchResultEntry", "DeleteMessageBatchResultEntry", "ChangeMessageVisibilityBatchResultEntry":
			list("Successful", c.object())
		case "BatchResultErrorEntry":
			list("Failed", c.object())
		default:
			out[name] = c.Text
		}
	}
	return out
}
