package cluster

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/store"
)

// Status is a task's or a container's place in its life.
type Status string

// The life of a task, in order. Containers use PENDING, RUNNING and STOPPED.
const (
	Provisioning   Status = "PROVISIONING"
	Pending        Status = "PENDING"
	Activating     Status = "ACTIVATING"
	Running        Status = "RUNNING"
	Deactivating   Status = "DEACTIVATING"
	Stopping       Status = "STOPPING"
	Deprovisioning Status = "DEPROVISIONING"
	Stopped        Status = "STOPPED"
)

var order = map[Status]int{Provisioning: 1, Pending: 2, Activating: 3, Running: 4,
	Deactivating: 5, Stopping: 6, Deprovisioning: 7, Stopped: 8}

// Before reports whether s comes earlier in a task's life than o. A task never
// goes back: late reports that would are dropped.
func (s Status) Before(o Status) bool { return order[s] < order[o] }

// Known reports whether s is one of the statuses of a task's life.
func (s Status) Known() bool { return order[s] > 0 }

// Task is one copy of a task definition, placed on one node.
type Task struct {
	Scope
	Cluster, ID string

	// Written once, at launch.
	Family               string
	Revision             int32
	Group                string // family:NAME or service:NAME unless the caller said otherwise
	StartedBy            string // for a service's tasks the deployment's id
	Service              string // name of the service it belongs to, "" for none
	LaunchType           types.LaunchType
	CapacityProvider     string
	PlatformVersion      string
	NetworkMode          types.NetworkMode
	CPU, Memory          string // CPU units and MiB: task-level sizes, else the sums over containers
	EphemeralStorage     int32  // GiB; 0 shows none
	Overrides            types.TaskOverride
	EnableExecuteCommand bool
	Tags                 []types.Tag
	Unserved             []string // fields of its definition that do not act yet: a warning to the user
	Contracts            bool     `json:",omitempty"` // its definition declares some
	Node                 string   // Node.ID
	Instance             string   // Instance.ID, "" on FARGATE, which shows none
	Reserved             Resources
	Interface            *Interface // awsvpc only
	Zone                 string     // availability zone, us-east-1a
	CreatedAt            time.Time

	// Written by the control plane only.
	Desired       Status // RUNNING or STOPPED
	StopCode      types.TaskStopCode
	StoppedReason string
	StoppingAt    *time.Time

	// Written by the service loop only, by SaveTask or NoteTask.
	Draining  *time.Time // chosen to stop: since when its targets drain before it is told to
	HealthyAt *time.Time // when it first counted as healthy
	Noted     bool       // its end has been taken account of

	// Written from the node's reports only (and by the control plane for a
	// task whose node is lost).
	Last               Status
	Connectivity       types.Connectivity
	ConnectivityAt     *time.Time
	Health             types.HealthStatus
	PullStartedAt      *time.Time
	PullStoppedAt      *time.Time
	StartedAt          *time.Time
	ExecutionStoppedAt *time.Time
	StoppedAt          *time.Time
	Containers         []Container

	Version int64 // rises with each change that clients can see; set by SaveTask
}

// Container is one container of a task.
type Container struct {
	Name        string
	ID          string // the last part of the container's ARN
	RuntimeID   string
	Image       string
	ImageDigest string
	CPU         string
	Memory      string // hard limit, MiB; "" if unset
	Reservation string // soft limit, MiB; "" if unset
	Essential   bool
	Last        Status
	ExitCode    *int32
	Reason      string
	Health      types.HealthStatus // "" for a container without a health check
	Bindings    []types.NetworkBinding
}

// Tasks is keyed ACCOUNT/REGION/CLUSTER/ID. Index "node": tasks that are not
// STOPPED, by Node; "service": by ServiceKey, stopped ones too; "startedBy":
// by ACCOUNT/REGION/CLUSTER/StartedBy; "group": those that shall run, by
// ACCOUNT/REGION/CLUSTER/Group; "stopped": "yes" for STOPPED ones; "open": a
// service's tasks, by ServiceKey, until they are STOPPED and Noted; "contracts":
// those of no service that shall run and whose definitions declare contracts, by
// ACCOUNT/REGION/.
var Tasks = store.NewTable("cluster.tasks", Task.Key,
	store.Index[Task]{Name: "node", Values: func(t Task) []string {
		if t.Last == Stopped {
			return nil
		}
		return []string{t.Node}
	}},
	store.Index[Task]{Name: "service", Values: func(t Task) []string {
		if t.Service == "" {
			return nil
		}
		return []string{ServiceKey(t.Scope, t.Cluster, t.Service)}
	}},
	store.Index[Task]{Name: "startedBy", Values: func(t Task) []string {
		if t.StartedBy == "" {
			return nil
		}
		return []string{t.Scope.Key(t.Cluster, t.StartedBy)}
	}},
	store.Index[Task]{Name: "live", Values: func(t Task) []string {
		if t.Last == Stopped {
			return nil
		}
		return []string{t.Scope.Key(t.Cluster)}
	}},
	store.Index[Task]{Name: "stopped", Values: func(t Task) []string {
		if t.Last != Stopped {
			return nil
		}
		return []string{"yes"}
	}},
	store.Index[Task]{Name: "open", Values: func(t Task) []string {
		if t.Service == "" || t.Last == Stopped && t.Noted {
			return nil
		}
		return []string{ServiceKey(t.Scope, t.Cluster, t.Service)}
	}},
	store.Index[Task]{Name: "contracts", Values: func(t Task) []string {
		if !t.Contracts || t.Service != "" || t.Desired == Stopped || t.Last == Stopped {
			return nil
		}
		return []string{t.Scope.Prefix()}
	}},
)

// Key is the row's key.
func (t Task) Key() string { return t.Scope.Key(t.Cluster, t.ID) }

// GroupKey names the task's group among all clusters'.
func (t Task) GroupKey() string { return t.Scope.Key(t.Cluster, t.Group) }

// ARN is the task's name in the API.
func (t Task) ARN() string { return TaskARN(t.Scope, t.Cluster, t.ID) }

// TaskARN is the ARN of a task.
func TaskARN(s Scope, cluster, id string) string { return s.ARN("ecs", "task/"+cluster+"/"+id) }

// ContainerARN is the ARN of one of the task's containers.
func (t Task) ContainerARN(c Container) string {
	return t.Scope.ARN("ecs", "container/"+t.Cluster+"/"+t.ID+"/"+c.ID)
}

// DefinitionARN is the ARN of the task's definition.
func (t Task) DefinitionARN() string {
	return TaskDefinition{Scope: t.Scope, Family: t.Family, Revision: t.Revision}.ARN()
}
