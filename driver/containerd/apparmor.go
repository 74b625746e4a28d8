package containerd

import (
	"errors"
	"io/fs"
	"os"

	"github.com/containerd/containerd/v2/contrib/apparmor"
	hostapparmor "github.com/containerd/containerd/v2/pkg/apparmor"
)

// loadApparmor loads containerd's default profile under this data directory's
// name and returns it; "" where the host has no AppArmor or refuses.
func (d *Driver) loadApparmor() string {
	if !hostapparmor.HostSupports() {
		return ""
	}
	name := d.paths.namespace()
	if err := apparmor.LoadDefaultProfile(name); err != nil {
		d.log.Warn("containers run without an AppArmor profile", "err", err)
		return ""
	}
	return name
}

// apparmorRemove takes the name of a profile to unload.
const apparmorRemove = "/sys/kernel/security/apparmor/.remove"

func (p paths) unloadApparmor() error {
	f, err := os.OpenFile(apparmorRemove, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(p.namespace())
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, fs.ErrNotExist) { // it was never loaded
		return nil
	}
	return err
}
