package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/acs"
)

// state is what becomes of a task on this node. It is kept in the task's
// directory beside the task as it was sent, which never changes.
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

// saved are the two files of a task's directory.
const (
	taskFile  = "task.json"
	stateFile = "state.json"
)

// saveTask writes the task. Of its credentials it writes the name alone, which
// containers get at their start: the control plane sends keys anew.
func saveTask(dir string, t acs.Task) error {
	t.Role, t.ExecutionRole = withoutKeys(t.Role), nil
	return writeJSON(dir, taskFile, t)
}

func saveState(dir string, s *state) error { return writeJSON(dir, stateFile, s) }

// writeJSON replaces a file in one step. It is not synced: it has to survive
// the process, and a machine that loses power has lost its containers too.
func writeJSON(dir, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, name+".new")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, name))
}

// loadTask reads a task's directory. The error wraps fs.ErrNotExist for a
// directory that a crash left half made, before the task was acknowledged.
func loadTask(dir string) (t acs.Task, s state, err error) {
	for name, v := range map[string]any{taskFile: &t, stateFile: &s} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return t, s, err
		}
		if err := json.Unmarshal(b, v); err != nil {
			return t, s, fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
		}
	}
	if t.Dhow == nil || t.Dhow.Definition == nil && s.Last != cluster.Stopped {
		return t, s, fmt.Errorf("%s: %w: it has no definition", dir, errors.ErrUnsupported)
	}
	return t, s, nil
}

// taskDirs lists the directories under dir.
func taskDirs(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, e := range entries {
		if e.IsDir() {
			dirs = append(dirs, filepath.Join(dir, e.Name()))
		}
	}
	return dirs, nil
}
