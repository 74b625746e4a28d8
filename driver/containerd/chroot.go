package containerd

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// chrooted tells whether / is below the root of this process's mount namespace.
// runc exec joins a container's mount namespace by setns(2), which leads to the
// root of the namespace; in a container that was made under a chroot that is the
// machine's root still, for pivot_root(2) replaced the chroot's directory only.
// False where it cannot be told.
func chrooted() bool {
	answer := make(chan bool)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its other root
		answer <- func() bool {
			ns, err := unix.Open("/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return false
			}
			defer unix.Close(ns)
			var ours, top unix.Statx_t
			if unix.Unshare(unix.CLONE_FS) != nil || rootOf(&ours) != nil ||
				unix.Setns(ns, unix.CLONE_NEWNS) != nil || rootOf(&top) != nil {
				return false
			}
			return ours.Mnt_id != top.Mnt_id || ours.Ino != top.Ino
		}()
	}()
	return <-answer
}

func rootOf(s *unix.Statx_t) error {
	return unix.Statx(unix.AT_FDCWD, "/", 0, unix.STATX_INO|unix.STATX_MNT_ID, s)
}
