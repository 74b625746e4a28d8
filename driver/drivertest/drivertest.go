// Package drivertest is the contract that every driver.Driver passes.
package drivertest

import "runtime"

const goarch = runtime.GOARCH
