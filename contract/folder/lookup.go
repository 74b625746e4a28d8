package folder

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/glue"
)

// Need is Get of a schema that has to be there. The error of one that is not
// tells what the registry has instead.
func (r Remote) Need(ctx context.Context, name string) (*Known, error) {
	switch reg, schema := split(name); {
	case strings.Contains(name, "@"):
		return nil, fmt.Errorf("%s: the name alone is wanted here, %s, without a version", name, name[:strings.Index(name, "@")])
	case reg == "" || schema == "" || strings.Contains(schema, "/"):
		return nil, fmt.Errorf("%q is no name of a schema: it must be REGISTRY/NAME, or NAME in default-registry", name)
	}
	k, err := r.Get(ctx, name)
	if err != nil || k != nil {
		return k, err
	}
	all, err := r.names(ctx)
	if err != nil {
		return nil, err
	}
	return nil, missing(name, all)
}

// maxMeant bounds how many schemas an error tells.
const maxMeant = 5

// missing says that a registry has no schema of that name, and which of all may
// have been meant: those of that name in other registries, else those of the
// registry that the name is of, or is.
func missing(name string, all []string) error {
	reg, schema := split(name)
	var same, there []string
	for _, n := range all {
		other, s := split(n)
		switch {
		case s == schema:
			same = append(same, n)
		case other == reg && strings.Contains(name, "/"), other == schema:
			there = append(there, n)
		}
	}
	err := fmt.Errorf("the registry has no schema %s/%s", reg, schema)
	switch {
	case len(same) > 0:
		return fmt.Errorf("%w; it has %s", err, some(same))
	case len(there) > 0:
		of, _ := split(there[0])
		return fmt.Errorf("%w; in %s there are %s", err, of, some(there))
	}
	return err
}

func some(names []string) string {
	if more := len(names) - maxMeant; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxMeant], ", "), more)
	}
	return strings.Join(names, ", ")
}

// names are those of all schemas, sorted.
func (r Remote) names(ctx context.Context) (names []string, err error) {
	for pages := glue.NewListSchemasPaginator(r.API, &glue.ListSchemasInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range page.Schemas {
			names = append(names, deref(s.RegistryName)+"/"+deref(s.SchemaName))
		}
	}
	slices.Sort(names)
	return names, nil
}
