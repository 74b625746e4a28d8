package registry

import (
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/store"
)

// Compare lists what the level of v's schema has against a definition after that
// very version. Errors: *verdict.Malformed, ErrNoSchema, ErrReference.
func (e *Engine) Compare(v Version, d Definition) (breaks []contract.Break, err error) {
	gen := e.cache.gen.Load()
	err = e.db.View(func(r store.Reader) error {
		s, err := findSchema(r, v.Schema())
		if err != nil {
			return err
		}
		next, err := parse(r, s, d)
		if err != nil {
			return err
		}
		l, err := e.load(r, v, gen)
		if err != nil {
			return err
		}
		breaks = contract.Check(s.level(r), next, []contract.Version{{Label: v.label(), Schema: l.Contract}})
		return nil
	})
	return breaks, err
}
