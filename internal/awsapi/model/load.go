package model

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
)

//go:embed tables/*.gz
var tables embed.FS

// Unpack returns the plain content of a table file.
func Unpack(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

func read(name string, into any) error {
	packed, err := tables.ReadFile("tables/" + name + ".json.gz")
	if err != nil {
		return err
	}
	plain, err := Unpack(packed)
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, into)
}

var index = sync.OnceValues(func() (map[string]*entry, error) {
	var list []*Info
	if err := read("index", &list); err != nil {
		return nil, fmt.Errorf("embedded model index: %w", err)
	}
	byName := make(map[string]*entry, len(list))
	for _, i := range list {
		e := &entry{info: i}
		e.load = sync.OnceValues(e.read)
		byName[i.Name] = e
	}
	return byName, nil
})

type entry struct {
	info *Info
	load func() (*Model, error)
}

// Lookup returns the routing facts of the model of that name.
func Lookup(name string) (*Info, bool) {
	byName, err := index()
	if err != nil {
		return nil, false
	}
	e, ok := byName[name]
	if !ok {
		return nil, false
	}
	return e.info, true
}

// All returns the routing facts of every model, in no order.
func All() ([]*Info, error) {
	byName, err := index()
	if err != nil {
		return nil, err
	}
	all := make([]*Info, 0, len(byName))
	for _, e := range byName {
		all = append(all, e.info)
	}
	return all, nil
}

// Load returns the model of that name; the first call for a name reads it.
func Load(name string) (*Model, error) {
	byName, err := index()
	if err != nil {
		return nil, err
	}
	e, ok := byName[name]
	if !ok {
		return nil, fmt.Errorf("there is no model named %q", name)
	}
	return e.load()
}

func (e *entry) read() (*Model, error) {
	m := &Model{Info: e.info}
	if err := read(e.info.Name, m); err != nil {
		return nil, fmt.Errorf("embedded model %s: %w", e.info.Name, err)
	}
	m.ops = make(map[string]*Op, len(m.Ops))
	for _, o := range m.Ops {
		m.ops[o.Name] = o
	}
	m.exceptions = make(map[string]*Shape)
	for _, s := range m.Shapes {
		if s.Exception {
			m.exceptions[s.Name] = s
		}
	}
	for _, s := range m.Shapes {
		if s.Exception && s.Code != "" && m.exceptions[s.Code] == nil {
			m.exceptions[s.Code] = s
		}
	}
	return m, nil
}

// Renamed returns a copy of the model in which members have other names on the
// wire: by "Shape.Member", or by "Member" for all shapes. The key and the value
// of a map are the members "key" and "value" of its shape, the elements of a
// list are "member".
func (m *Model) Renamed(names map[string]string) *Model {
	return m.changed(func(s *Shape) {
		s.Members = append([]Member(nil), s.Members...)
		for i := range s.Members {
			name := s.memberName(i)
			if wire, ok := names[s.Name+"."+name]; ok {
				s.Members[i].Wire = wire
			} else if wire, ok := names[name]; ok && s.Kind == Structure {
				s.Members[i].Wire = wire
			}
		}
	})
}

// Unchecked returns a copy of the model in which the shapes of those names have
// no constraints; for no names, the model itself.
func (m *Model) Unchecked(names []string) *Model {
	if len(names) == 0 {
		return m
	}
	return m.changed(func(s *Shape) {
		if slices.Contains(names, s.Name) {
			s.Min, s.Max, s.Pattern, s.Enum = "", "", "", nil
		}
	})
}

// changed returns a copy of the model with changed copies of its shapes.
func (m *Model) changed(f func(*Shape)) *Model {
	c := *m
	c.Shapes = make([]*Shape, len(m.Shapes))
	c.exceptions = maps.Clone(m.exceptions)
	for i, s := range m.Shapes {
		t := *s
		f(&t)
		c.Shapes[i] = &t
		for key, e := range m.exceptions {
			if e == s {
				c.exceptions[key] = &t
			}
		}
	}
	return &c
}

func (s *Shape) memberName(i int) string {
	switch s.Kind {
	case Map:
		return [...]string{"key", "value"}[i]
	case List:
		return "member"
	}
	return s.Members[i].Name
}
