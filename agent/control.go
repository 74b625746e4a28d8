package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
)

// Version is the agent's, as it shows on container instances.
const Version = "1.0.0"

// control is the agent's side of the conversation with the control plane.
type control struct {
	cfg    Config
	log    *slog.Logger
	eng    *engine
	http   *http.Client
	ecs    *ecs.Client
	signer *signer

	mu       sync.Mutex
	instance string // ARN: of the container instance, or of the node itself
	seq      int64  // highest sequence number seen
	healthy  chan struct{}
}

// registration is what is kept of it for the next start.
type registration struct{ Cluster, Instance string }

const registrationFile = "registration.json"

func newControl(c Config, e *engine) (*control, error) {
	x := &control{cfg: c, log: c.Log, eng: e, http: &http.Client{Transport: transport(c)}, healthy: e.healthy}
	x.ecs = ecs.New(ecs.Options{
		Region: c.Region, BaseEndpoint: aws.String(c.Endpoint), Credentials: c.Credentials,
		HTTPClient: x.http, Retryer: aws.NopRetryer{}, // retries are the callers', who never give up
	})
	x.signer = &signer{region: c.Region, credentials: c.Credentials}
	if b, err := os.ReadFile(filepath.Join(c.DataDir, registrationFile)); err == nil {
		var r registration
		if json.Unmarshal(b, &r) == nil && r.Cluster == c.Cluster {
			x.instance = r.Instance
		}
	}
	return x, nil
}

// transport is the way to the control plane.
func transport(c Config) *http.Transport {
	t := &http.Transport{
		MaxIdleConnsPerHost: submitters, IdleConnTimeout: 90 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
	}
	if c.Dial != nil {
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return c.Dial(ctx) }
	}
	return t
}

// run registers the node and keeps its sessions up until ctx ends.
func (x *control) run(ctx context.Context) error {
	defer x.http.CloseIdleConnections()
	if err := x.register(ctx); err != nil {
		return err
	}
	x.eng.reports.start(x.submit)
	var loops sync.WaitGroup
	defer loops.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	loops.Go(func() { x.keep(ctx, "telemetry", x.telemetrySession) })
	return x.keep(ctx, "acs", x.acsSession)
}

// register tells the control plane of the node. It tries for as long as the
// control plane cannot be reached; a refusal ends the agent.
func (x *control) register(ctx context.Context) error {
	in := &ecs.RegisterContainerInstanceInput{
		Cluster: aws.String(x.cfg.Cluster), TotalResources: x.resources(), Attributes: x.attributes(),
		VersionInfo: &types.VersionInfo{AgentVersion: aws.String(Version), DockerVersion: aws.String(x.cfg.Driver.Version())},
	}
	if arn := x.arn(); arn != "" {
		in.ContainerInstanceArn = &arn
	}
	for b := newBackoff(); ; {
		out, err := x.ecs.RegisterContainerInstance(ctx, in)
		if err == nil {
			if out.ContainerInstance == nil || out.ContainerInstance.ContainerInstanceArn == nil {
				return errors.New("agent: the control plane registered the node without naming it")
			}
			arn := *out.ContainerInstance.ContainerInstanceArn
			x.setARN(arn)
			x.log.Info("node registered", "instance", arn)
			return writeJSON(x.cfg.DataDir, registrationFile, registration{x.cfg.Cluster, arn})
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if in.ContainerInstanceArn != nil && inactive(err) {
			// Deregistered meanwhile: it is a new instance.
			x.setARN("")
			in.ContainerInstanceArn = nil
			continue
		}
		if !retryable(err) {
			return fmt.Errorf("agent: the control plane at %s refused to register this node: %w", x.cfg.Endpoint, err)
		}
		x.log.Warn("cannot register the node, will retry", "endpoint", x.cfg.Endpoint, "err", err)
		if err := b.wait(ctx); err != nil {
			return err
		}
	}
}

// retryable reports whether an API call may work later, as the stock agent
// sees it: it was throttled, the server failed, or nobody answered.
func retryable(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return true
	}
	switch api.ErrorCode() {
	case "ThrottlingException", "ServerException", "LimitExceededException", "InternalFailure", "ServiceUnavailable":
		return true
	}
	return api.ErrorFault() == smithy.FaultServer
}

func inactive(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (api.ErrorCode() == "ClientException" || api.ErrorCode() == "InvalidParameterException" || api.ErrorCode() == "InactiveInstanceException")
}

func (x *control) resources() []types.Resource {
	integer := func(name string, n int64) types.Resource {
		return types.Resource{Name: &name, Type: aws.String("INTEGER"), IntegerValue: int32(n)}
	}
	set := func(name string, s ...string) types.Resource {
		return types.Resource{Name: &name, Type: aws.String("STRINGSET"), StringSetValue: s}
	}
	// Ports that are no use to tasks: ssh, as the stock agent reserves it.
	return []types.Resource{integer("CPU", x.cfg.CPU), integer("MEMORY", x.cfg.Memory), set("PORTS", "22"), set("PORTS_UDP")}
}

// attributes say what the node can do, by AWS's names for it.
func (x *control) attributes() []types.Attribute {
	arch := map[string]string{"amd64": "x86_64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	var out []types.Attribute
	add := func(name, value string) {
		a := types.Attribute{Name: &name}
		if value != "" {
			a.Value = &value
		}
		out = append(out, a)
	}
	add("ecs.os-type", "linux")
	add("ecs.os-family", "LINUX")
	add("ecs.cpu-architecture", arch)
	add("ecs.availability-zone", x.cfg.Region+x.cfg.Zone)
	add("ecs.hostname", x.cfg.Hostname)
	if x.cfg.Cluster == "*" {
		add("dhow.everyone", "true")
	}
	for _, c := range capabilities {
		add(c, "")
	}
	if x.cfg.Logs != nil {
		add("com.amazonaws.ecs.capability.logging-driver.awslogs", "")
		add("ecs.capability.logging-driver.awslogs.log-driver-buffer-size", "")
	}
	return out
}

// capabilities are what every dhow node can do.
var capabilities = append([]string{
	"com.amazonaws.ecs.capability.privileged-container",
	"com.amazonaws.ecs.capability.logging-driver.json-file",
	"com.amazonaws.ecs.capability.logging-driver.none",
	"com.amazonaws.ecs.capability.ecr-auth",
	"com.amazonaws.ecs.capability.task-iam-role",
	"com.amazonaws.ecs.capability.task-iam-role-network-host",
	"ecs.capability.task-cpu-mem-limit",
	"ecs.capability.task-eni",
	"ecs.capability.container-health-check",
	"ecs.capability.container-ordering",
	"ecs.capability.container-restart-policy",
	"ecs.capability.container-swap",
	"ecs.capability.container-port-range",
	"ecs.capability.docker-plugin.local",
	"ecs.capability.execution-role-awslogs",
	"ecs.capability.execution-role-ecr-pull",
	"ecs.capability.full-sync",
	"ecs.capability.extensible-ephemeral-storage",
	"ecs.capability.increased-task-cpu-limit",
	"ecs.capability.pid-ipc-namespace-sharing",
}, dockerAPIs(17, 25)...) // the highest that a definition requires

func dockerAPIs(from, to int) (out []string) {
	for n := from; n <= to; n++ {
		out = append(out, fmt.Sprintf("com.amazonaws.ecs.capability.docker-remote-api.1.%d", n))
	}
	return out
}

func (x *control) submit(ctx context.Context, in *ecs.SubmitTaskStateChangeInput) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err := x.ecs.SubmitTaskStateChange(ctx, in)
	return err
}

// backoff is the stock agent's pause between attempts: 250 ms to 2 min, half
// as long again each time, with a fifth of it left to chance.
type backoff struct{ next time.Duration }

func newBackoff() *backoff { return &backoff{250 * time.Millisecond} }

func (b *backoff) wait(ctx context.Context) error {
	d := b.next + time.Duration(rand.Int64N(int64(b.next)/5))
	b.next = min(b.next*3/2, 2*time.Minute)
	return sleep(ctx, d)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// endpointURL joins a discovered endpoint and a path below it.
func endpointURL(endpoint, path string) string { return strings.TrimSuffix(endpoint, "/") + path }
