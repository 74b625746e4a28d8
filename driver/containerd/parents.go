package containerd

import (
	"fmt"
	"path"
	"strings"
	"sync"

	"github.com/dhowhq/dhow/driver"
)

// cgroupParents are the cgroups that containers share, one a task. A parent is
// made with its first container and removed with its last.
type cgroupParents struct {
	cgroups cgroups
	root    string

	mu   sync.Mutex
	used map[string]map[string]bool // parent to container ids
}

func (p *cgroupParents) init(c cgroups, root string) {
	p.cgroups, p.root, p.used = c, root, map[string]map[string]bool{}
}

func (p *cgroupParents) add(parent, id string, cpu, memory int64) error {
	if parent == "" {
		return nil
	}
	for _, part := range strings.Split(parent, "/") {
		if err := driver.ValidID(part); err != nil || part == runtimeCgroup {
			return fmt.Errorf("cgroup parent %q: its parts must be names of letters, digits, '.', '_' and '-'", parent)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used[parent] == nil {
		if cpu > 0 || memory > 0 {
			if err := p.cgroups.limitParent(path.Join(p.root, parent), cpu, memory); err != nil {
				p.cgroups.remove(path.Join(p.root, parent))
				return fmt.Errorf("limits of task: %w", err)
			}
		}
		p.used[parent] = map[string]bool{}
	}
	p.used[parent][id] = true
	return nil
}

func (p *cgroupParents) remove(parent, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ids := p.used[parent]
	if ids == nil {
		return
	}
	delete(ids, id)
	if len(ids) == 0 {
		delete(p.used, parent)
		p.cgroups.remove(path.Join(p.root, parent))
	}
}
