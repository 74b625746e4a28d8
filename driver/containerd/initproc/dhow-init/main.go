// Command dhow-init is the init of containers that ask for one, as a small
// binary of its own: built with CGO_ENABLED=0 it runs in any image.
package main

import "github.com/dhowhq/dhow/driver/containerd/initproc"

func main() { initproc.Main() }
