package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
)

// client talks to the platform at AWS_ENDPOINT_URL, as the account and region
// that the AWS environment variables name.
type client struct {
	url    string
	region string
	creds  aws.Credentials
}

const defaultURL = "http://127.0.0.1:4566"

func newClient() client {
	or := func(s, d string) string {
		if s != "" {
			return s
		}
		return d
	}
	return client{
		url:    strings.TrimSuffix(or(os.Getenv("AWS_ENDPOINT_URL"), defaultURL), "/"),
		region: or(os.Getenv("AWS_REGION"), or(os.Getenv("AWS_DEFAULT_REGION"), "us-east-1")),
		creds: aws.Credentials{AccessKeyID: or(os.Getenv("AWS_ACCESS_KEY_ID"), "dhow"),
			SecretAccessKey: or(os.Getenv("AWS_SECRET_ACCESS_KEY"), "dhow"), SessionToken: os.Getenv("AWS_SESSION_TOKEN")},
	}
}

// plain is an error as a user of the command wants to read it: what the platform
// said, without the SDK's account of the call, or that there is no platform.
func plain(err error) error {
	var call *smithy.OperationError
	var said smithy.APIError
	var dial *net.OpError
	var sent *url.Error
	at := newClient().url
	switch {
	case errors.As(err, &call) && errors.As(err, &said):
		return errors.New(strings.Replace(err.Error(), call.Error(), said.ErrorCode()+": "+said.ErrorMessage(), 1))
	case (errors.As(err, &call) || errors.As(err, &sent)) && !isURL(at):
		return fmt.Errorf("AWS_ENDPOINT_URL is %q, which is no URL as %s is one", at, defaultURL)
	case errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Errorf("no platform answers at %s: start one with `dhow up`, or set AWS_ENDPOINT_URL", at)
	}
	return err
}

// isURL reports whether a client can call s.
func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// emptyHash is the SHA-256 of no body.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// do sends a signed request without a body to one of dhow's own paths.
func (c client) do(ctx context.Context, method, path string, query url.Values) (*http.Response, error) {
	target := c.url + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return nil, err
	}
	if err := v4.NewSigner().SignHTTP(ctx, c.creds, req, emptyHash, "dhow", c.region, time.Now()); err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode >= 300:
		defer res.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
		said := strings.TrimSpace(string(text))
		if said != "" && res.StatusCode < 500 {
			return nil, errors.New(said)
		}
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, res.Status, said)
	}
	return res, nil
}

// lines calls head, unless it is nil, with the answer's header and f with each
// line of it.
func (c client) lines(ctx context.Context, path string, query url.Values, head func(http.Header), f func([]byte) error) error {
	res, err := c.do(ctx, http.MethodGet, path, query)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if head != nil {
		head(res.Header)
	}
	in := bufio.NewScanner(res.Body)
	in.Buffer(nil, 4<<20)
	for in.Scan() {
		if len(in.Bytes()) == 0 {
			continue // a sign of life
		}
		if err := f(in.Bytes()); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return in.Err()
}

// get decodes the JSON answer of path into v.
func (c client) get(ctx context.Context, path string, query url.Values, v any) error {
	res, err := c.do(ctx, http.MethodGet, path, query)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(v)
}

type envCmd struct {
	Account string `default:"000000000000" help:"Account to work in: it becomes the access key."`
	Region  string `default:"us-east-1" help:"Region to work in."`
	Unset   bool   `help:"Print what undoes it."`
}

// Run prints shell commands; any credentials do in open mode. The region is
// there twice: older clients (AWS CLI 1, boto3) read AWS_DEFAULT_REGION alone.
func (c envCmd) Run() error {
	if c.Unset {
		fmt.Println("unset AWS_ENDPOINT_URL AWS_REGION AWS_DEFAULT_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY")
		return nil
	}
	if len(c.Account) != 12 || !digits(c.Account) {
		return fmt.Errorf("--account %q is not 12 digits", c.Account)
	}
	fmt.Printf("export AWS_ENDPOINT_URL=%[1]s AWS_REGION=%[2]s AWS_DEFAULT_REGION=%[2]s AWS_ACCESS_KEY_ID=%[3]s AWS_SECRET_ACCESS_KEY=dhow\n",
		newClient().url, c.Region, c.Account)
	return nil
}

type eventsCmd struct {
	Follow bool `short:"f" help:"Go on with events as they happen."`
}

// Run prints events as EventBridge would deliver them.
func (c eventsCmd) Run(ctx context.Context) error {
	q := url.Values{}
	if c.Follow {
		q.Set("follow", "1")
	}
	return newClient().lines(ctx, "/_dhow/events", q, nil, func(line []byte) error {
		_, err := fmt.Printf("%s\n", line)
		return err
	})
}

type resetCmd struct{}

// Run empties the caller's account.
func (resetCmd) Run(ctx context.Context) error {
	res, err := newClient().do(ctx, http.MethodPost, "/_dhow/reset", nil)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// printJSON is what --json prints of an answer.
func printJSON(v any) error {
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(v)
}
