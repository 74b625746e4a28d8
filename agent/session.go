package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/coder/websocket"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/acs"
)

const (
	maxMessage   = 16 << 20         // of the control plane's
	silence      = 90 * time.Second // after which a session counts as dead
	writeTimeout = 20 * time.Second
	inactiveWait = time.Hour // what the stock agent waits when its instance is inactive
	steady       = 10 * time.Second
)

// errInactive is a handshake refused because the instance is not registered.
var errInactive = errors.New("the instance is not registered")

// keep runs sessions one after another until ctx ends. As the stock agent does
// it reconnects at once after an orderly or a plain network end, and backs off
// after anything else, or after sessions that did not last.
func (x *control) keep(ctx context.Context, what string, session func(context.Context) error) error {
	b := newBackoff()
	for {
		began := time.Now()
		err := session(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, errTelemetryOff) {
			return nil
		}
		x.log.Debug("session ended", "session", what, "err", err)
		lasted := time.Since(began) >= steady
		if lasted {
			b = newBackoff()
		}
		switch {
		case errors.Is(err, errInactive):
			// The stock agent waits; this one can register again.
			x.log.Warn("the control plane does not know this node any more, it registers anew", "session", what)
			if err := b.wait(ctx); err != nil {
				return err
			}
			if what == "acs" {
				if err := x.register(ctx); err != nil {
					return err
				}
			}
		case lasted && atOnce(err):
		default:
			x.log.Info("session could not be kept, will retry", "session", what, "err", err)
			if err := b.wait(ctx); err != nil {
				return err
			}
		}
	}
}

// atOnce reports whether the session ended in a way after which the next may
// follow without a pause.
func atOnce(err error) bool {
	switch websocket.CloseStatus(err) {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusInternalError:
		return true
	case -1: // no close frame: the connection broke
		return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	}
	return false
}

// discover asks where the two websockets are.
func (x *control) discover(ctx context.Context) (*ecs.DiscoverPollEndpointOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return x.ecs.DiscoverPollEndpoint(ctx, &ecs.DiscoverPollEndpointInput{Cluster: aws.String(x.cfg.Cluster), ContainerInstance: aws.String(x.arn())})
}

func (x *control) arn() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.instance
}

// setARN may come while the telemetry session asks for the ARN.
func (x *control) setARN(arn string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.instance = arn
}

// dial opens a signed websocket.
func (x *control) dial(ctx context.Context, endpoint string, q url.Values) (*websocket.Conn, error) {
	target := endpointURL(endpoint, "/ws") + "?" + q.Encode()
	header, err := x.signer.headers(ctx, target)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, target, &websocket.DialOptions{HTTPClient: x.http, HTTPHeader: header})
	if err == nil {
		conn.SetReadLimit(maxMessage)
		return conn, nil
	}
	if resp != nil && resp.Body != nil {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
		if strings.Contains(string(body), "InactiveInstanceException") {
			return nil, errInactive
		}
		return nil, fmt.Errorf("%w: %s", err, body)
	}
	return nil, err
}

// signer signs websocket handshakes as calls of ECS.
type signer struct {
	region      string
	credentials aws.CredentialsProvider
}

// emptyHash is the SHA-256 of no body.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func (s *signer) headers(ctx context.Context, target string) (http.Header, error) {
	cred, err := s.credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("the node's credentials: %w", err)
	}
	r, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	if err := v4.NewSigner().SignHTTP(ctx, cred, r, emptyHash, "ecs", s.region, time.Now()); err != nil {
		return nil, err
	}
	return r.Header, nil
}

// acsSession takes tasks from the control plane until the session ends.
func (x *control) acsSession(ctx context.Context) error {
	where, err := x.discover(ctx)
	if err != nil {
		return err
	}
	x.mu.Lock()
	first := x.seq == 0
	x.mu.Unlock()
	conn, err := x.dial(ctx, deref(where.Endpoint), url.Values{
		"clusterArn": {x.cfg.Cluster}, "containerInstanceArn": {x.arn()}, "agentHash": {"dhow"}, "agentVersion": {Version},
		"seqNum": {"1"}, "protocolVersion": {"2"}, "dockerVersion": {"DockerVersion: " + x.cfg.Driver.Version()},
		"sendCredentials": {strconv.FormatBool(first)},
	})
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	s := &acsSession{x: x, conn: conn, out: make(chan any, 256), gone: make(chan struct{}), verify: make(map[string]bool)}
	return s.run(ctx)
}

// acsSession is one ACS connection. One goroutine reads and acts, another
// writes, so that neither side can lock the other up.
type acsSession struct {
	x      *control
	conn   *websocket.Conn
	out    chan any
	gone   chan struct{}   // closed when nobody writes any more
	verify map[string]bool // manifests whose stop candidates were sent
}

func (s *acsSession) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dead := time.AfterFunc(silence, func() { cancel(errors.New("the control plane has been silent for too long")) })
	defer dead.Stop()
	go func() {
		defer close(s.gone)
		cancel(s.write(ctx))
	}()
	for {
		_, b, err := s.conn.Read(ctx)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return err
		}
		dead.Reset(silence)
		m, err := acs.Decode(b)
		if err != nil {
			s.x.log.Warn("the control plane sent what cannot be read", "err", err)
			continue
		}
		s.handle(m)
	}
}

func (s *acsSession) write(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-s.out:
			b, err := acs.Encode(m)
			if err != nil {
				return err
			}
			wctx, cancel := context.WithTimeout(ctx, writeTimeout)
			err = s.conn.Write(wctx, websocket.MessageText, b)
			cancel()
			if err != nil {
				return err
			}
		}
	}
}

func (s *acsSession) reply(m any) {
	select {
	case s.out <- m:
	case <-s.gone:
	}
}

func (s *acsSession) ack(id string) {
	s.reply(&acs.AckRequest{Cluster: s.x.cfg.Cluster, ContainerInstance: s.x.arn(), MessageID: id})
}

func (s *acsSession) handle(m any) {
	switch m := m.(type) {
	case *acs.HeartbeatMessage:
		s.reply(&acs.HeartbeatAckRequest{MessageID: m.MessageID})
	case *acs.PayloadMessage:
		s.payload(m)
	case *acs.TaskManifestMessage:
		s.manifest(m)
	case *acs.TaskStopVerificationAck:
		s.stops(m)
	case *acs.IAMRoleCredentialsMessage:
		if t := s.x.eng.get(lastPart(m.Task)); t != nil && m.Credentials != nil {
			t.setRole(m.RoleType, m.Credentials)
			s.ackRole(m.MessageID, m.Credentials)
		}
	case *acs.AttachTaskNetworkInterfacesMessage:
		s.ack(m.MessageID)
	case *acs.AttachInstanceNetworkInterfacesMessage:
		s.ack(m.MessageID)
	case *acs.ConfirmAttachmentMessage:
		s.ack(m.MessageID)
	case *acs.StageUpdateMessage:
		s.refuse(m.MessageID)
	case *acs.PerformUpdateMessage:
		s.refuse(m.MessageID)
	case *acs.CloseMessage:
		s.x.log.Debug("the control plane closes the session", "why", m.Message)
	case *acs.ErrorMessage:
		s.x.log.Warn("the control plane reports an error", "message", m.Message)
	}
}

func (s *acsSession) refuse(id string) {
	s.reply(&acs.NackRequest{Cluster: s.x.cfg.Cluster, ContainerInstance: s.x.arn(), MessageID: id, Reason: "Updates are disabled"})
}

func (s *acsSession) ackRole(id string, c *acs.RoleCredentials) {
	s.reply(&acs.IAMRoleCredentialsAckRequest{MessageID: id, Expiration: c.Expiration, CredentialsID: c.ID})
}

// payload takes charge of tasks. The message is acknowledged when all of them
// are safe; otherwise it comes again.
func (s *acsSession) payload(m *acs.PayloadMessage) {
	s.x.sawSeq(m.SeqNum)
	whole := true
	for _, t := range m.Tasks {
		if err := s.x.eng.take(t); err != nil {
			s.x.log.Error("cannot take charge of a task", "task", t.ARN, "err", err)
			whole = false
		}
	}
	if !whole {
		return
	}
	s.ack(m.MessageID)
	for _, t := range m.Tasks {
		for _, c := range []*acs.RoleCredentials{t.Role, t.ExecutionRole} {
			if c != nil {
				s.ackRole(m.MessageID, c)
			}
		}
	}
}

// sawSeq notes a sequence number and reports whether it is the highest so far.
func (x *control) sawSeq(n int64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	newer := n > x.seq
	x.seq = max(x.seq, n)
	return newer
}

// manifest compares what the node has with what it should have: tasks that are
// not in the manifest may be left over, and are asked about.
func (s *acsSession) manifest(m *acs.TaskManifestMessage) {
	fresh := s.x.sawSeq(m.Timeline)
	s.ack(m.MessageID)
	if !fresh {
		return
	}
	listed := make(map[string]bool, len(m.Tasks))
	for _, id := range m.Tasks {
		listed[id.Task] = cluster.Status(id.DesiredStatus) != cluster.Stopped
		running := !cluster.Status(id.DhowLastStatus).Before(cluster.Running) && id.DhowLastStatus != ""
		if running && s.x.eng.get(lastPart(id.Task)) == nil {
			s.x.log.Warn("a task that this node reported as running is not here; it is given up", "task", id.Task)
			if err := s.x.eng.lose(id.Task, id.Cluster); err != nil {
				s.x.log.Error("cannot give up a task", "task", id.Task, "err", err)
			}
		}
	}
	var ask []acs.TaskIdentifier
	for _, t := range s.x.eng.all() {
		if !listed[t.arn] && t.now().Desired != cluster.Stopped {
			ask = append(ask, acs.TaskIdentifier{Task: t.arn, Cluster: t.msg.Cluster, DesiredStatus: string(cluster.Stopped)})
		}
	}
	if len(ask) > 0 {
		s.verify[m.MessageID] = true
		s.reply(&acs.TaskStopVerificationMessage{MessageID: m.MessageID, StopCandidates: ask})
	}
}

func (s *acsSession) stops(m *acs.TaskStopVerificationAck) {
	if !s.verify[m.MessageID] {
		return
	}
	delete(s.verify, m.MessageID)
	for _, id := range m.StopTasks {
		if t := s.x.eng.get(lastPart(id.Task)); t != nil {
			t.stop()
		}
	}
}
