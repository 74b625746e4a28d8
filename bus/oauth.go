package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/store"
)

// tokens are the OAuth tokens of connections, in memory alone.
type tokens struct {
	mu  sync.Mutex
	all map[string]*token // by the connection's ARN
}

// token is one connection's. Its lock is held while it is fetched, so that many
// invocations cause one fetch.
type token struct {
	mu      sync.Mutex
	version int
	header  string
	until   time.Time
}

// of returns the token of a connection, which may be empty.
func (t *tokens) of(c Connection) *token {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[string]*token{}
	}
	k := t.all[c.ARN()]
	if k == nil {
		k = &token{}
		t.all[c.ARN()] = k
	}
	return k
}

// forget drops the token of a connection, which an endpoint did not take.
func (t *tokens) forget(c Connection) {
	k := t.of(c)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.header = ""
}

// token returns the Authorization header of a connection with OAuth.
func (e *Engine) token(ctx context.Context, c Connection) (string, error) {
	k := e.tokens.of(c)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.header != "" && k.version == c.Version && time.Now().Before(k.until) {
		return k.header, nil
	}
	header, life, err := e.fetch(ctx, *c.Auth.OAuthParameters)
	if err != nil {
		k.header = ""
		return "", err
	}
	// A little earlier than it ends, so that none ends under way.
	k.header, k.version, k.until = header, c.Version, time.Now().Add(life-min(life/10, time.Minute))
	return header, nil
}

// fetch asks the authorization endpoint for a token, by the client credentials
// grant.
func (e *Engine) fetch(ctx context.Context, p types.CreateConnectionOAuthRequestParameters) (header string, life time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := tokenRequest(ctx, p)
	if err != nil {
		return "", 0, err
	}
	resp, body, err := e.roundTrip(req)
	if err != nil {
		return "", 0, plain(err)
	}
	if resp.StatusCode >= 300 {
		return "", 0, fmt.Errorf("the authorization endpoint answered %s", resp.Status)
	}
	var t struct {
		AccessToken string          `json:"access_token"`
		TokenType   string          `json:"token_type"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &t); err != nil || t.AccessToken == "" {
		return "", 0, errors.New("the authorization endpoint's answer holds no access_token")
	}
	if t.TokenType == "" || strings.EqualFold(t.TokenType, "bearer") {
		t.TokenType = "Bearer"
	}
	life = time.Hour
	var seconds json.Number // some send it as a string
	if json.Unmarshal(t.ExpiresIn, &seconds) == nil {
		if n, err := seconds.Float64(); err == nil && n > 0 {
			life = time.Duration(min(n, 1e9)) * time.Second
		}
	}
	return t.TokenType + " " + t.AccessToken, life, nil
}

// tokenRequest carries the grant in the body as a form, with GET in the query.
func tokenRequest(ctx context.Context, p types.CreateConnectionOAuthRequestParameters) (*http.Request, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {*p.ClientParameters.ClientID}, "client_secret": {*p.ClientParameters.ClientSecret}}
	u, err := url.Parse(*p.AuthorizationEndpoint)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	if h := p.OAuthHttpParameters; h != nil {
		for _, b := range h.BodyParameters {
			form.Set(*b.Key, *b.Value)
		}
		for _, s := range h.QueryStringParameters {
			q.Set(*s.Key, *s.Value)
		}
		for _, s := range h.HeaderParameters {
			header.Set(*s.Key, *s.Value)
		}
	}
	var body io.Reader = strings.NewReader(form.Encode())
	if p.HttpMethod == types.ConnectionOAuthHttpMethodGet {
		for k := range form {
			q.Set(k, form.Get(k))
		}
		body = nil
	}
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, string(p.HttpMethod), u.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header = header
	return req, nil
}

// authorize finds out, for connections with OAuth that are new or changed,
// whether their credentials are taken.
func (e *Engine) authorize(ctx context.Context) {
	commits, stop := e.cfg.DB.Watch(Connections)
	defer stop()
	for ctx.Err() == nil {
		var waiting []Connection
		e.cfg.DB.View(func(r store.Reader) error {
			for c := range Connections.List(r, "") {
				if c.State == types.ConnectionStateAuthorizing {
					waiting = append(waiting, c)
				}
			}
			return nil
		})
		var work sync.WaitGroup
		slots := make(chan struct{}, 16)
		for _, c := range waiting {
			work.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				e.tryConnection(ctx, c)
			})
		}
		work.Wait()
		select {
		case <-ctx.Done():
		case <-commits:
		}
	}
}

func (e *Engine) tryConnection(ctx context.Context, c Connection) {
	_, err := e.token(ctx, c)
	if ctx.Err() != nil {
		return
	}
	if err := e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		now, ok := Connections.Get(tx, c.Key())
		if !ok || now.ID != c.ID || now.Version != c.Version || now.State != types.ConnectionStateAuthorizing {
			return nil
		}
		now.State, now.Reason, now.AuthorizedAt = types.ConnectionStateAuthorized, "", time.Now().UTC()
		if err != nil {
			now.State, now.Reason, now.AuthorizedAt = types.ConnectionStateDeauthorized, err.Error(), time.Time{}
		}
		return Connections.Put(tx, now)
	}); err != nil && ctx.Err() == nil {
		e.log.Warn("cannot note that a connection is authorized", "connection", c.ARN(), "err", err)
	}
}
