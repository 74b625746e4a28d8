package network_test

import (
	"testing"

	"github.com/dhowhq/dhow/network"
	"github.com/dhowhq/dhow/network/networktest"
)

func TestContract(t *testing.T) {
	networktest.Run(t, func(t *testing.T) (network.Manager, func() network.Manager) {
		m, reopen := network.OpenForTest(t)
		return m, func() network.Manager { return reopen() }
	})
}
