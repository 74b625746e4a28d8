package sim

import (
	"testing"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/drivertest"
)

func TestContract(t *testing.T) {
	drivertest.Run(t, func(t *testing.T, dir string) driver.Driver {
		d, err := Open(Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}
