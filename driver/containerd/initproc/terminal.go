package initproc

import (
	"syscall"
	"unsafe"
)

// terminal reports whether a file descriptor is a terminal.
func terminal(fd uintptr) bool {
	var t syscall.Termios
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TCGETS, uintptr(unsafe.Pointer(&t)))
	return errno == 0
}
