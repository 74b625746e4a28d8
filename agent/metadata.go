package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/network"
)

// metadata serves what tasks may know of themselves: the task metadata
// endpoint version 4, the credentials of their roles, and schemas of messages.
type metadata struct {
	eng    *engine
	server http.Server

	hostOnce sync.Mutex
	host     net.Listener // for tasks in host mode
}

func newMetadata(e *engine) *metadata {
	m := &metadata{eng: e}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v4/{id}", m.container)
	mux.HandleFunc("GET /v4/{id}/task", m.task)
	mux.HandleFunc("GET /v4/{id}/taskWithTags", m.task)
	mux.HandleFunc("GET /v4/{id}/stats", m.stats)
	mux.HandleFunc("GET /v4/{id}/task/stats", m.taskStats)
	mux.HandleFunc("GET /v2/credentials/{id}", m.credentials)
	mux.HandleFunc("GET /schema/{id}/ids/{version}", m.schemaByID)
	mux.HandleFunc("GET /schema/{id}/schemas/{registry}/{name}/versions/{version}", m.schemaByVersion)
	mux.HandleFunc("/api/{id}/task-protection/v1/state", m.protection)
	m.server = http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if c, ok := c.(taskConn); ok {
				return context.WithValue(ctx, taskKey{}, c.task)
			}
			return ctx
		},
	}
	return m
}

// taskListener marks connections with the task whose namespace they come from.
type taskListener struct {
	net.Listener
	task string
}

type taskConn struct {
	net.Conn
	task string
}

type taskKey struct{}

func (l taskListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return taskConn{c, l.task}, nil
}

// serve answers a task until l is closed.
func (m *metadata) serve(l net.Listener, task string) {
	m.eng.served("metadata", m.server.Serve(taskListener{l, task}))
}

// served notes why a server in a task's namespace ended, if nobody closed it.
func (e *engine) served(what string, err error) {
	if err != nil && e.ctx.Err() == nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
		e.log.Warn("a server for tasks ended", "what", what, "err", err)
	}
}

// serveHost listens on the host's loopback for tasks in host mode, once, at a
// port that stays the same: containers outlive the agent.
func (m *metadata) serveHost() error {
	m.hostOnce.Lock()
	defer m.hostOnce.Unlock()
	if m.host != nil {
		return nil
	}
	file := filepath.Join(m.eng.cfg.DataDir, "metadata-port")
	address := "127.0.0.1:0"
	if b, err := os.ReadFile(file); err == nil {
		address = "127.0.0.1:" + strings.TrimSpace(string(b))
	}
	l, err := net.Listen("tcp4", address)
	if err != nil && address != "127.0.0.1:0" {
		m.eng.log.Warn("the metadata port of tasks in host mode is taken; those that run already lose the endpoint", "address", address, "err", err)
		l, err = net.Listen("tcp4", "127.0.0.1:0")
	}
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := os.WriteFile(file, []byte(port), 0o600); err != nil {
		l.Close()
		return err
	}
	m.host = l
	go m.serve(l, "")
	return nil
}

// hostURL is where tasks in host mode find the endpoint, "" if it is not there.
func (m *metadata) hostURL() string {
	m.hostOnce.Lock()
	defer m.hostOnce.Unlock()
	if m.host == nil {
		return ""
	}
	return "http://" + m.host.Addr().String()
}

func (m *metadata) close() { m.server.Close() }

// caller is the task with a container of this id, if the request may ask for
// it: a task's namespace sees that task alone.
func (m *metadata) caller(r *http.Request, id string) (*task, *container) {
	t := m.eng.byContainer(id)
	if from, _ := r.Context().Value(taskKey{}).(string); t == nil || from != "" && from != t.id {
		return nil, nil
	}
	s := t.now()
	for i := range s.Containers {
		if s.Containers[i].ID == id {
			return t, &s.Containers[i]
		}
	}
	return nil, nil
}

func (m *metadata) container(w http.ResponseWriter, r *http.Request) {
	t, k := m.caller(r, r.PathValue("id"))
	if t == nil {
		notFound(w, "container")
		return
	}
	writeMetadata(w, t.containerMetadata(*k))
}

func (m *metadata) task(w http.ResponseWriter, r *http.Request) {
	t, _ := m.caller(r, r.PathValue("id"))
	if t == nil {
		notFound(w, "task")
		return
	}
	writeMetadata(w, t.metadata(strings.HasSuffix(r.URL.Path, "WithTags")))
}

func (m *metadata) stats(w http.ResponseWriter, r *http.Request) {
	t, k := m.caller(r, r.PathValue("id"))
	if t == nil {
		notFound(w, "container")
		return
	}
	s, err := m.eng.statsOf(r.Context(), *k)
	if err != nil {
		http.Error(w, "no stats: "+err.Error(), http.StatusInternalServerError)
		return
	}
	writeMetadata(w, s)
}

func (m *metadata) taskStats(w http.ResponseWriter, r *http.Request) {
	t, _ := m.caller(r, r.PathValue("id"))
	if t == nil {
		notFound(w, "task")
		return
	}
	all := make(map[string]any)
	for _, k := range t.now().Containers {
		s, err := m.eng.statsOf(r.Context(), k)
		if err != nil {
			all[k.ID] = nil // as AWS shows a container that does not run
			continue
		}
		all[k.ID] = s
	}
	writeMetadata(w, all)
}

// credentials answers SDKs' container credential provider.
func (m *metadata) credentials(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	from, _ := r.Context().Value(taskKey{}).(string)
	for _, t := range m.eng.all() {
		if from != "" && from != t.id {
			continue
		}
		c := t.roleNow()
		switch {
		case c == nil || c.ID != id:
		case c.AccessKeyID == "":
			// The agent has come back and the control plane has not sent keys
			// yet: SDKs ask again.
			refuseCredentials(w, http.StatusServiceUnavailable, "ServerException", "CredentialsV2Request: Credentials are not here yet")
			return
		default:
			writeMetadata(w, map[string]string{
				"RoleArn": c.RoleARN, "AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey,
				"Token": c.SessionToken, "Expiration": c.Expiration,
			})
			return
		}
	}
	refuseCredentials(w, http.StatusBadRequest, "InvalidIdInRequest", "CredentialsV2Request: Credentials not found")
}

func refuseCredentials(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"code": code, "message": message, "HTTPErrorCode": status})
}

// protection answers $ECS_AGENT_URI/task-protection/v1/state, in the shape of
// its errors: nothing protects tasks yet.
func (m *metadata) protection(w http.ResponseWriter, r *http.Request) {
	t, _ := m.caller(r, r.PathValue("id"))
	if t == nil {
		notFound(w, "task")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotImplemented)
	json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{
		"Arn": t.arn, "Code": "UnsupportedFeatureException", "Message": "dhow does not serve task scale-in protection yet",
	}})
}

func notFound(w http.ResponseWriter, what string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	json.NewEncoder(w).Encode(fmt.Sprintf("V4 %s metadata handler: unable to find %s", what, what))
}

func writeMetadata(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// networks is the Networks member of a container's metadata.
func (t *task) networks(id string) []map[string]any {
	n := map[string]any{"NetworkMode": string(t.mode())}
	if a := t.address(id); a != "" {
		n["IPv4Addresses"] = []string{a}
	}
	if i := t.msg.Dhow.Interface; i != nil && t.mode() == network.AWSVPC {
		n["AttachmentIndex"] = 0
		n["MACAddress"] = i.MAC
		n["IPv4SubnetCIDRBlock"] = i.SubnetCIDR
		n["PrivateDNSName"] = i.PrivateDNS
		if len(t.msg.Interfaces) > 0 {
			n["SubnetGatewayIpv4Address"] = t.msg.Interfaces[0].Gateway
			n["DomainNameServers"] = t.msg.Interfaces[0].NameServers
		}
	}
	return []map[string]any{n}
}

// portsMetadata is the Ports member.
func portsMetadata(bs []types.NetworkBinding) []map[string]any {
	var out []map[string]any
	for _, b := range bs {
		out = append(out, map[string]any{
			"ContainerPort": deref(b.ContainerPort), "Protocol": string(b.Protocol),
			"HostPort": deref(b.HostPort), "HostIp": deref(b.BindIP),
		})
	}
	return out
}
