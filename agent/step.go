package agent

import "time"

// Step is a part of a task's start. Config.Observe is told how long each took
// that went well.
type Step string

// The steps. Those of several containers go on side by side.
const (
	StepNetwork Step = "network" // the task's namespace, with the agent's sockets in it
	StepImage   Step = "image"   // a container's image made present, if only by asking what its tag means
	StepCreate  Step = "create"  // a container with its log stream, files and volumes
	StepStart   Step = "start"   // a container's process
	StepReport  Step = "report"  // telling the control plane that the task is RUNNING
	StepTask    Step = "task"    // from the task's arrival at the node until the control plane knows that it is RUNNING
)

// observe tells of a step that has ended and began at that time.
func (e *engine) observe(s Step, began time.Time) {
	if e.cfg.Observe != nil {
		e.cfg.Observe(s, time.Since(began))
	}
}

// observe is the engine's for what leads to RUNNING: what is done again after
// that, when a container or the agent starts anew, is no part of a start.
func (t *task) observe(s Step, began time.Time) {
	t.mu.Lock()
	ran := t.st.Ran != nil
	t.mu.Unlock()
	if !ran {
		t.eng.observe(s, began)
	}
}
