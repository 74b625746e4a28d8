package folder

import (
	"fmt"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/wire"
	"github.com/dhowhq/dhow/sdk/avro"
)

// Lock is the lock file of a folder all of whose files are registered versions.
func Lock(list []Finding) (lock avro.LockFile, err error) {
	keys := map[string]string{} // NAME@VERSION by path, for references: no file of IDL is one
	for _, f := range list {
		if f.As == nil {
			return lock, fmt.Errorf("%s is no registered version of %s: run dhow schema check, then dhow schema push", f.At(), f.Name)
		}
		keys[f.Path] = f.Name + "@" + f.As.Semver
	}
	locked := map[string]bool{}
	for _, f := range list {
		key := f.Name + "@" + f.As.Semver
		if locked[key] {
			continue // the one that is worked at is a release too
		}
		locked[key] = true
		e, err := f.entry(keys)
		if err != nil {
			return lock, err
		}
		lock.Schemas = append(lock.Schemas, e)
	}
	return lock, nil
}

func (f Finding) entry(keys map[string]string) (e avro.LockEntry, err error) {
	src := f.Schema.Source()
	if src.Format == contract.Avro {
		var before []string
		for _, r := range src.Refs {
			before = append(before, r.Text)
		}
		if e, err = avro.NewLockEntry(f.Name, f.As.Semver, f.Path, []byte(src.Text), before...); err != nil {
			return e, err
		}
	} else {
		e = avro.LockEntry{Name: f.Name, Version: f.As.Semver, Format: string(src.Format), File: f.Path, SHA256: avro.Sum([]byte(src.Text))}
	}
	if f.sources != nil {
		e.Definition, e.Imports, e.SHA256 = f.Text, f.Imports, avro.Sum(f.sources...)
	}
	for _, r := range src.Refs {
		e.References = append(e.References, keys[r.File])
	}
	if e.SchemaVersionID, err = wire.ParseUUID(f.As.ID); err != nil {
		return e, fmt.Errorf("the registry's id of %s: %w", f.Path, err)
	}
	return e, nil
}
