package deploy

import (
	"slices"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

const (
	logLines = 100           // AWS shows the newest 100
	logQuiet = 6 * time.Hour // the same complaint is not repeated within
)

// appendLog puts lines on top of the service's events.
func appendLog(tx *store.Tx, key string, lines []message, now time.Time) error {
	if len(lines) == 0 {
		return nil
	}
	log, _ := cluster.ServiceLogs.Get(tx, key)
	log.Service = key
	changed := false
	for _, m := range lines {
		repeated := func(e cluster.ServiceEvent) bool { return e.Message == m.Text && now.Sub(e.At) < logQuiet }
		if m.Once && slices.ContainsFunc(log.Events, repeated) {
			continue
		}
		changed = true
		log.Events = slices.Insert(slices.Clone(log.Events), 0, cluster.ServiceEvent{ID: cluster.NewUUID(), At: now, Message: m.Text})
	}
	if !changed {
		return nil
	}
	if len(log.Events) > logLines {
		log.Events = log.Events[:logLines]
	}
	return cluster.ServiceLogs.Put(tx, log)
}
