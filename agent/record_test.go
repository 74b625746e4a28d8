package agent

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/acs"
)

// A task that a kill left half recorded is given up, and keeps the agent from
// taking up the others not even where nothing can be written.
func TestLoadHalfRecorded(t *testing.T) {
	dir := t.TempDir()
	open := func() (*engine, []*task) {
		t.Helper()
		e := newEngine(Config{DataDir: dir, Log: slog.New(slog.DiscardHandler)})
		e.ctx = t.Context()
		values, err := e.openRecords()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.records.Close)
		return e, e.load(values)
	}
	e, _ := open()
	msg := acs.Task{ARN: "arn:aws:ecs:us-east-1:000000000000:task/c/whole", Dhow: &acs.Dhow{Definition: &types.TaskDefinition{}}}
	whole := bareTask(e, msg)
	whole.st.Last = cluster.Running
	whole.mu.Lock()
	err := errors.Join(whole.saveTask(), whole.saveState(), e.records.Put("half"+taskRecord, msg), e.records.Put("other"+stateRecord, &state{}))
	whole.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(dir, "tasks.jsonl.new")
	if err := os.Mkdir(full, 0o700); err != nil { // the register cannot be written anew
		t.Fatal(err)
	}
	for range 2 {
		e, tasks := open()
		if len(tasks) != 1 || tasks[0].id != "whole" || tasks[0].st.Last != cluster.Running || len(e.tasks) != 1 {
			t.Fatalf("took up %d tasks: %v", len(tasks), e.tasks)
		}
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	open()
	e, _ = open()
	values, err := e.openRecords()
	if err != nil || len(values) != 2 {
		t.Errorf("%d records are left, want the whole task's two: %v", len(values), err)
	}
}
