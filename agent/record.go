package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/acs"
	"github.com/dhowhq/dhow/internal/register"
)

// state is what becomes of a task on this node. It is kept in the register of
// tasks beside the task as it was sent, which never changes.
type state struct {
	Desired          cluster.Status // RUNNING or STOPPED: by the control plane's wish or by a failure here
	Last             cluster.Status
	Reason           string     // why the task failed or ended, "" if it was told to
	Ran              *time.Time // when it was RUNNING first: all its containers had started
	RanTold          bool       // the control plane knows that it ran
	StopBegan        *time.Time // when its containers were first told to end
	PullStarted      *time.Time
	PullStopped      *time.Time
	ExecutionStopped *time.Time
	Containers       []container // in the definition's order
}

// container is one container of a task on this node.
type container struct {
	Name       string
	ID         string         // the driver's, and its name in the metadata endpoint's paths
	Status     cluster.Status // PENDING, RUNNING, STOPPED
	Digest     string
	StopSignal string // the image's
	Created    *time.Time
	Started    *time.Time // newest start; nil: never started
	Finished   *time.Time
	ExitCode   *int
	Reason     string
	Restarts   int
	Health     types.HealthStatus // "" without a check
	HealthAt   *time.Time
	Bindings   []types.NetworkBinding
}

// settle makes the task RUNNING once each of its containers has started, or
// failed to where that does not matter.
func (s *state) settle(def *types.TaskDefinition) {
	if s.Ran != nil {
		return
	}
	for i := range s.Containers {
		k := &s.Containers[i]
		if k.Started == nil && (k.Status != cluster.Stopped || essential(defIn(def, k.Name))) {
			return
		}
	}
	s.Ran = nowUTC()
	if s.Desired == cluster.Running && s.Last.Before(cluster.Running) {
		s.Last = cluster.Running
	}
}

// What a task's two records are called in the register, after its id.
const (
	taskRecord  = "/task"
	stateRecord = "/state"
)

// openRecords opens the register of tasks: what is kept in it survives the
// process; a machine that loses power has lost its containers too.
func (e *engine) openRecords() (values map[string]json.RawMessage, err error) {
	e.records, values, err = register.Open(filepath.Join(e.cfg.DataDir, "tasks.jsonl"), e.log)
	return values, err
}

// saveTask writes the task as it was sent. Of its credentials it writes the
// name alone, which containers get at their start: the control plane sends keys
// anew.
func (t *task) saveTask() error { return t.eng.records.Put(t.id+taskRecord, t.msg) }

// saveState is called with t.mu held.
func (t *task) saveState() error { return t.eng.records.Put(t.id+stateRecord, &t.st) }

// dropRecords removes what is recorded of the task with this id.
func (e *engine) dropRecords(id string) error {
	return errors.Join(e.records.Delete(id+taskRecord), e.records.Delete(id+stateRecord))
}

// errHalf is loadTask's for a task that a crash left half recorded, before it
// was acknowledged or after it was cleaned up.
var errHalf = errors.New("half recorded")

// loadTask reads the records of a task.
func loadTask(values map[string]json.RawMessage, id string) (t acs.Task, s state, err error) {
	for name, v := range map[string]any{id + taskRecord: &t, id + stateRecord: &s} {
		b, ok := values[name]
		if !ok {
			return t, s, errHalf
		}
		if err := json.Unmarshal(b, v); err != nil {
			return t, s, fmt.Errorf("%s: %w", name, err)
		}
	}
	if t.Dhow == nil || t.Dhow.Definition == nil && s.Last != cluster.Stopped {
		return t, s, fmt.Errorf("%s: %w: it has no definition", id, errors.ErrUnsupported)
	}
	return t, s, nil
}

// writeJSON replaces a file in one step. It is not synced.
func writeJSON(dir, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return replace(filepath.Join(dir, name), b)
}

// replace puts a file in the place of another one, or of none, in one step. It is
// not synced.
func replace(path string, b []byte) error {
	tmp := path + ".new"
	err := os.WriteFile(tmp, b, 0o600)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp) // it takes room that the disk may lack
	}
	return err
}
