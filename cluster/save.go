package cluster

import (
	"maps"
	"reflect"
	"slices"

	"github.com/dhowhq/dhow/store"
)

// SaveTask writes t. It is the one way to write a task: if clients can see a
// difference it raises Version and emits the event, and a task that becomes
// STOPPED gives back its share of the node and its address, once.
func SaveTask(tx *store.Tx, t Task) error {
	return saveTask(tx, t, func(tx *store.Tx, t Task) error { return giveBack(tx, strayOf(t)) })
}

// saveTask is SaveTask with what is done about what an ended task held.
func saveTask(tx *store.Tx, t Task, ended func(*store.Tx, Task) error) error {
	old, had := Tasks.Get(tx, t.Key())
	t.Version = old.Version
	if had && reflect.DeepEqual(old, t) {
		return nil
	}
	if t.Last == Stopped && (!had || old.Last != Stopped) {
		if err := ended(tx, t); err != nil {
			return err
		}
	}
	t.Version = old.Version + 1
	if err := Tasks.Put(tx, t); err != nil {
		return err
	}
	return Emit(tx, Event{Scope: t.Scope, Kind: TaskStateChange, Resource: t.ARN(), Version: t.Version, Task: &t})
}

// NoteTask writes what the service loop keeps on t for itself, which clients do
// not see: no event, the same Version.
func NoteTask(tx *store.Tx, t Task) error { return Tasks.Put(tx, t) }

// SaveInstance writes i, raises its Version and emits the event if clients can
// see a difference.
func SaveInstance(tx *store.Tx, i Instance) error {
	old, had := Instances.Get(tx, i.Key())
	i.Version = old.Version
	if had && reflect.DeepEqual(old, i) {
		return nil
	}
	i.Version++
	if err := Instances.Put(tx, i); err != nil {
		return err
	}
	return Emit(tx, Event{Scope: i.Scope, Kind: InstanceStateChange, Resource: i.ARN(), Version: i.Version, Instance: &i})
}

// Reserve books what t needs on its node.
func Reserve(tx *store.Tx, t Task) error {
	l, _ := Ledgers.Get(tx, t.Node)
	l.Node = t.Node
	l.Used.CPU += t.Reserved.CPU
	l.Used.Memory += t.Reserved.Memory
	l.Used.Ports = append(slices.Clone(l.Used.Ports), t.Reserved.Ports...)
	l.Tasks++
	l.Groups = addGroup(l.Groups, t.GroupKey(), 1)
	return Ledgers.Put(tx, l)
}

// addGroup returns counts with n more at key; counts is not changed.
func addGroup(counts map[string]int, key string, n int) map[string]int {
	out := make(map[string]int, len(counts)+1)
	maps.Copy(out, counts)
	if out[key] += n; out[key] <= 0 {
		delete(out, key)
	}
	return out
}

// giveBack gives back what s holds.
func giveBack(tx *store.Tx, s Stray) error {
	if s.Interface != "" {
		// The address may be another task's by now only if this ran before:
		// the row says whose it is.
		if i, ok := Interfaces.Get(tx, s.Interface); ok && i.Task == s.Task {
			Interfaces.Delete(tx, i.Key())
		}
	}
	l, ok := Ledgers.Get(tx, s.Node)
	if !ok {
		return nil
	}
	l.Used.CPU -= s.Reserved.CPU
	l.Used.Memory -= s.Reserved.Memory
	l.Used.Ports = slices.DeleteFunc(slices.Clone(l.Used.Ports), func(p string) bool {
		return slices.Contains(s.Reserved.Ports, p)
	})
	l.Tasks--
	l.Groups = addGroup(l.Groups, s.Group, -1)
	return Ledgers.Put(tx, l)
}

// DropInstance deletes i and emits its last event, with status INACTIVE.
func DropInstance(tx *store.Tx, i Instance) error {
	Instances.Delete(tx, i.Key())
	i.Status, i.Connected = "INACTIVE", false
	i.Version++
	return Emit(tx, Event{Scope: i.Scope, Kind: InstanceStateChange, Resource: i.ARN(), Version: i.Version, Instance: &i})
}
