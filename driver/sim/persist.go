package sim

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dhowhq/dhow/driver"
)

// stored is a container in the directory: its state, and the plan from which
// the next Open works out what became of it.
type stored struct {
	driver.Container
	Does   Behaviour
	Script script
	Ends   time.Time
	Code   int
	OOM    bool
	Limit  int64
}

func (d *Driver) file(kind, name string) string {
	return filepath.Join(d.cfg.Dir, kind, strings.ReplaceAll(name, "/", "%2F")+".json")
}

// save writes a container to the directory, if there is one. d.mu is held.
func (d *Driver) save(c *container) error {
	if d.cfg.Dir == "" {
		return nil
	}
	return writeJSON(d.file("containers", c.ID), stored{
		Container: c.Container, Does: *c.does, Script: *c.script, Ends: c.ends, Code: c.code, OOM: c.oom, Limit: c.limit,
	})
}

func (d *Driver) forget(kind, name string) error {
	if d.cfg.Dir == "" {
		return nil
	}
	err := os.Remove(d.file(kind, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (d *Driver) saveImage(im *pulled) error {
	if d.cfg.Dir == "" {
		return nil
	}
	return writeJSON(d.file("images", im.image.Ref), im.image)
}

func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// load reads the directory and carries on with what is there.
func (d *Driver) load() error {
	if d.cfg.Dir == "" {
		return nil
	}
	err := eachJSON(filepath.Join(d.cfg.Dir, "images"), func(b []byte) error {
		im := &pulled{done: make(chan struct{})}
		if err := json.Unmarshal(b, &im.image); err != nil {
			return err
		}
		close(im.done)
		var err error
		im.does, err = d.behaviour(im.image.Ref)
		d.images[im.image.Ref] = im
		return err
	})
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return eachJSON(filepath.Join(d.cfg.Dir, "containers"), func(b []byte) error {
		var s stored
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		c := &container{
			Container: s.Container, does: &s.Does, script: &s.Script, ends: s.Ends, code: s.Code, oom: s.OOM, limit: s.Limit,
		}
		d.containers[c.ID] = c
		d.nextPid = max(d.nextPid, c.Pid-firstPid)
		if c.State == driver.Running && !c.ends.IsZero() && !time.Now().Before(c.ends) {
			d.end(c, false)
		}
		d.schedule(c)
		return nil
	})
}

func eachJSON(dir string, fn func([]byte) error) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(e os.DirEntry) bool { return filepath.Ext(e.Name()) != ".json" })
	for _, e := range list {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		if err := fn(b); err != nil {
			return err
		}
	}
	return nil
}
