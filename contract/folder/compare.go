package folder

import (
	"context"
	"fmt"
	"slices"

	"github.com/dhowhq/dhow/contract"
)

// Compare asks a registry about the files of a folder, in Read's order, and
// changes nothing there. Of a schema of which the registry has no version, the
// released ones come before the one that is worked at: what comes of them when
// they are registered in that order is found by comparing each with those before.
func (r Remote) Compare(ctx context.Context, files []File) (list []Finding, err error) {
	for len(files) > 0 {
		n := 1
		for n < len(files) && files[n].Name == files[0].Name {
			n++
		}
		k, err := r.Get(ctx, files[0].Name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", files[0].Name, err)
		}
		list = append(list, compareAll(k, files[:n])...)
		files = files[n:]
	}
	return list, nil
}

// compareAll compares all files of a schema.
func compareAll(k *Known, files []File) (list []Finding) {
	if k == nil || len(k.Versions) == 0 && k.Level != contract.Disabled {
		return replay(k, files)
	}
	for _, f := range files {
		list = append(list, compare(k, f))
	}
	return list
}

// replay compares the files of a schema of which the registry has no version.
func replay(k *Known, files []File) (list []Finding) {
	var past []Version
	for i, f := range inOrder(files) {
		worked := f
		worked.Release = ""
		seen := k
		if i > 0 {
			seen = &Known{Name: f.Name, Format: files[0].Schema.Source().Format, Level: contract.None, Versions: slices.Clip(past)}
		}
		out := compare(seen, worked)
		if out.File, out.As = f, nil; i > 0 {
			out.Level = "" // it has none yet
		}
		if f.Release != "" && !out.Bad() && out.Next != f.Release {
			out.Problem = f.outOfOrder(out.Next)
		}
		list = append(list, out)
		past = append(past, Version{Number: int64(i + 1), Semver: out.Next, Text: f.Text, Schema: f.Schema})
	}
	return list
}

// outOfOrder is what is wrong with a released version that a registry would
// number otherwise.
func (f File) outOfOrder(next string) string {
	return fmt.Sprintf("%s is not version %s of %s: this registry has no version of it yet, and would make it %s. Add the released versions before it (dhow schema pull --pin, from the registry that has them), or remove the file", f.Path, f.Release, f.Name, next)
}

// inOrder is the files of a schema as they were registered: releases by their
// semantic versions, then the one that is worked at.
func inOrder(files []File) []File {
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b File) int {
		va, aerr := contract.ParseVersion(a.Release)
		vb, berr := contract.ParseVersion(b.Release)
		switch {
		case aerr != nil && berr != nil:
			return 0
		case aerr != nil:
			return 1
		case berr != nil:
			return -1
		}
		return va.Compare(vb)
	})
	return files
}
