package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/dhowhq/dhow/sdk/avro"
)

// Stale lists in what a folder's lock file, if there is one, does not have what
// the folder has: a program that carries both does not start, or lacks a version.
func Stale(dir fs.FS, list []Finding) (lines []string) {
	text, err := load(dir, avro.LockName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var lock avro.LockFile
	if err == nil {
		lock, err = avro.ParseLockFile(text)
	}
	if err != nil {
		return []string{err.Error()}
	}
	there := map[string]bool{}
	for _, f := range list {
		there[f.Path] = true
		if line := f.locked(lock); line != "" {
			lines = append(lines, line)
		}
	}
	for _, e := range lock.Schemas {
		if !there[e.File] {
			lines = append(lines, fmt.Sprintf("%s is there as %s@%s, and not in the folder", e.File, e.Name, e.Version))
		}
	}
	return lines
}

// locked says how a lock differs from a file, "" if it does not. A release may be
// there as the file that is worked at.
func (f Finding) locked(lock avro.LockFile) string {
	i := slices.IndexFunc(lock.Schemas, func(e avro.LockEntry) bool { return e.Name == f.Name && e.File == f.Path })
	if i < 0 {
		if slices.ContainsFunc(lock.Schemas, func(e avro.LockEntry) bool { return e.Name == f.Name && e.Version == f.Release }) {
			return ""
		}
		return fmt.Sprintf("%s (%s) is not there", f.At(), f.Key())
	}
	e := lock.Schemas[i]
	texts := f.sources
	if texts == nil {
		texts = [][]byte{[]byte(f.Schema.Source().Text)}
	}
	switch {
	case avro.Sum(texts...) != e.SHA256:
		return fmt.Sprintf("%s is there as %s@%s, with another text", f.At(), e.Name, e.Version)
	case f.As != nil && f.As.Semver != e.Version:
		return fmt.Sprintf("%s is there as %s@%s, and is %s in the registry", f.At(), e.Name, e.Version, f.As.Label())
	}
	return ""
}

// beside are the ends of files that folders of schemas have for other reasons.
var beside = []string{".go", ".md", ".lock", ".txt", ".py", ".java", ".ts", ".js"}

// Passed lists the files of a folder that are no schemas by their names, and
// nothing that usually lies beside schemas.
func Passed(dir fs.FS) (list []string, err error) {
	err = fs.WalkDir(dir, ".", func(at string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case skipped(at, e):
			return fs.SkipDir
		case e.IsDir(), IsSchema(at), strings.HasPrefix(e.Name(), "."), slices.Contains(beside, strings.ToLower(path.Ext(at))):
			return nil
		}
		list = append(list, at)
		return nil
	})
	return list, err
}

// skipped reports whether a folder within is not looked into.
func skipped(at string, e fs.DirEntry) bool {
	return e.IsDir() && (at != "." && strings.HasPrefix(e.Name(), ".") || e.Name() == "node_modules")
}
