package containerd

import (
	"testing"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/drivertest"
)

func TestContract(t *testing.T) {
	needContainers(t)
	purges := map[string]bool{}
	drivertest.Run(t, func(ts *testing.T, dir string) driver.Driver {
		claimDir(t, dir)
		d, err := Open(ts.Context(), Config{DataDir: dir, Private: true})
		if err != nil {
			ts.Fatal(err)
		}
		if !purges[dir] {
			purges[dir] = true
			t.Cleanup(func() { reopenAndPurge(t, dir) })
		}
		return d
	})
}
