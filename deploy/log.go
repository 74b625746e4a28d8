package deploy

import (
	"slices"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// logQuiet is how long the same complaint is not repeated.
const logQuiet = 6 * time.Hour

// appendLog puts lines on top of the service's events.
func appendLog(tx *store.Tx, key string, lines []message, now time.Time) error {
	if len(lines) == 0 {
		return nil
	}
	log, _ := cluster.ServiceLogs.Get(tx, key)
	var fresh []cluster.ServiceEvent
	for _, m := range lines {
		repeated := func(e cluster.ServiceEvent) bool { return e.Message == m.Text && now.Sub(e.At) < logQuiet }
		if m.Once && (slices.ContainsFunc(log.Events, repeated) || slices.ContainsFunc(fresh, repeated)) {
			continue
		}
		fresh = append(fresh, cluster.ServiceEvent{ID: cluster.NewUUID(), At: now, Message: m.Text})
	}
	if len(fresh) == 0 {
		return nil
	}
	return cluster.AddServiceEvents(tx, key, fresh...)
}
