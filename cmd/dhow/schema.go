package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/folder"
)

type schemaCmd struct {
	Check  schemaCheckCmd  `cmd:"" help:"Say whether the schemas in a folder get on with those in the registry; exit 1 if not."`
	Push   schemaPushCmd   `cmd:"" help:"Register the schemas in a folder."`
	Pull   schemaPullCmd   `cmd:"" help:"Write released versions into a folder."`
	Lock   schemaLockCmd   `cmd:"" help:"Write the lock file of a folder, by which programs carry its schemas with them."`
	Diff   schemaDiffCmd   `cmd:"" help:"Explain what the change from one schema to another means."`
	Show   schemaShowCmd   `cmd:"" help:"Print a schema's name and fingerprints, or its text."`
	Cat    schemaCatCmd    `cmd:"" help:"Print the records of an Avro object container file as lines of JSON."`
	Ls     schemaLsCmd     `cmd:"" help:"List schemas and their versions."`
	Gen    schemaGenCmd    `cmd:"" help:"Write code for a folder's schemas."`
	Impact schemaImpactCmd `cmd:"" help:"List the services that produce and consume a schema."`
	Usage  schemaUsageCmd  `cmd:"" help:"Say who sends which version of a schema where."`
}

// schemas is the registry at the platform, or wherever AWS_ENDPOINT_URL leads.
func (c client) schemas() folder.Remote {
	return folder.Remote{API: glue.New(glue.Options{Region: c.region, BaseEndpoint: &c.url,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c.creds, nil })})}
}

// schemaFolder is a folder of schemas on the command line.
type schemaFolder struct {
	Dir      string `arg:"" type:"existingdir" help:"The folder: REGISTRY/NAME.avsc, or NAME.avsc in the registry that --registry says; also .json, .proto, and .avdl and .avpr, which declare several."`
	Registry string `default:"default-registry" help:"Registry of the files at the folder's top."`
}

// read reads it and nothing outside of it, whatever links and imports say.
func (f schemaFolder) read() ([]folder.File, error) {
	root, err := os.OpenRoot(f.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	files, err := folder.Read(root.FS(), f.Registry)
	if errors.Is(err, folder.ErrEmpty) {
		return nil, fmt.Errorf("%s: %w", f.Dir, err)
	}
	return files, err
}

// compare asks the registry about all files.
func (f schemaFolder) compare(ctx context.Context) ([]folder.Finding, error) {
	files, err := f.read()
	if err != nil {
		return nil, err
	}
	return newClient().schemas().Compare(ctx, files)
}

type schemaCheckCmd struct {
	schemaFolder `embed:""`
	Annotate     bool `help:"Print what is wrong as annotations of files too, as GitHub and what is like it show them; so it is where GITHUB_ACTIONS is true."`
}

// errBreaks ends a check that found something.
var errBreaks = errors.New("the schemas do not get on with the registry")

// Run prints a line for each schema, and below all that keeps it from being
// registered.
func (c schemaCheckCmd) Run(ctx context.Context) error {
	list, err := c.compare(ctx)
	if err != nil {
		c.annotateMalformed(err)
		return err
	}
	printFindings(os.Stdout, list)
	bad := 0
	for _, f := range list {
		if !f.Bad() {
			continue
		}
		bad++
		if c.annotates() {
			c.annotate(f)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%w: %d of %d would be refused", errBreaks, bad, len(list))
	}
	return nil
}

func printFindings(out io.Writer, list []folder.Finding) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SCHEMA\tFILE\tLATEST\tCHANGE\tVERSION\t")
	for _, f := range list {
		latest := "-"
		if f.Known != nil && len(f.Known.Versions) > 0 {
			latest = f.Known.Versions[len(f.Known.Versions)-1].Label()
		}
		change, next := f.Bump.String(), f.Next
		switch {
		case f.Bad():
			change, next = "refused", "-"
		case f.Known == nil:
			change = "new"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t\n", f.Name, f.Path, latest, change, next)
	}
	w.Flush()
	for _, f := range list {
		if lines := reasons(f); len(lines) > 0 {
			why := ""
			if len(f.Breaks) > 0 {
				why = fmt.Sprintf(" (%s)", f.Level)
			}
			fmt.Fprintf(out, "\n%s is refused%s:\n", f.At(), why)
			for _, l := range lines {
				fmt.Fprintln(out, "  -", l)
			}
		}
	}
}

// reasons are sentences on all that is wrong.
func reasons(f folder.Finding) (lines []string) {
	for _, b := range f.Breaks {
		lines = append(lines, b.Explain(f.Before()))
	}
	if f.Problem != "" {
		lines = append(lines, f.Problem)
	}
	return lines
}

// annotate prints GitHub's workflow commands.
func (c schemaCheckCmd) annotate(f folder.Finding) {
	escape := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	for i, l := range reasons(f) {
		at := f.Place()
		if i < len(f.Breaks) {
			at = f.PlaceOf(f.Breaks[i])
		}
		file := filepath.ToSlash(relative(filepath.Join(c.Dir, at.File)))
		fmt.Printf("::error file=%s,line=%d,title=%s::%s\n", file, at.Line, f.Name, escape.Replace(l))
	}
}

func (c schemaCheckCmd) annotates() bool {
	return c.Annotate || os.Getenv("GITHUB_ACTIONS") == "true"
}

// annotateMalformed does so for files that are no schemas.
func (c schemaCheckCmd) annotateMalformed(err error) {
	if !c.annotates() {
		return
	}
	escape := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	for _, bad := range folder.Malformed(err) {
		at := filepath.ToSlash(relative(filepath.Join(c.Dir, bad.Place.File)))
		fmt.Printf("::error file=%s,line=%d,title=no schema::%s\n", at, max(1, bad.Place.Line), escape.Replace(bad.Detail))
	}
}

// relative is a path from the working directory, where it is below that.
func relative(path string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return path
}

type schemaPushCmd struct {
	schemaFolder  `embed:""`
	Compatibility contract.Level `default:"" enum:",NONE,DISABLED,BACKWARD,BACKWARD_ALL,FORWARD,FORWARD_ALL,FULL,FULL_ALL" help:"Compatibility of schemas that are new, BACKWARD by default. One that is there keeps its own: aws glue update-schema changes it."`
}

// Run registers what is new, all or nothing as far as can be told before.
func (c schemaPushCmd) Run(ctx context.Context) error {
	list, err := c.compare(ctx)
	if err != nil {
		return err
	}
	for _, f := range list {
		if f.Bad() {
			printFindings(os.Stdout, list)
			return fmt.Errorf("%w: nothing was registered", errBreaks)
		}
	}
	r := newClient().schemas()
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "SCHEMA\tVERSION\t\tID")
	for _, f := range list {
		what := "registered"
		if f.As != nil {
			what = "is there"
		}
		if c.Compatibility != "" && f.Level != "" && f.Level != c.Compatibility {
			fmt.Fprintf(os.Stderr, "dhow: %s keeps its compatibility, %s: aws glue update-schema changes it\n", f.Name, f.Level)
		}
		v, err := r.Push(ctx, f, cmp.Or(c.Compatibility, contract.Backward))
		if err != nil {
			return fmt.Errorf("%s: %w", f.At(), err)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Name, v.Label(), what, v.ID)
	}
	return nil
}

type schemaLsCmd struct {
	Name string `arg:"" optional:"" help:"REGISTRY/NAME, for its versions; all schemas by default."`
}

// Run prints a line for each schema, or for each version of one.
func (c schemaLsCmd) Run(ctx context.Context) error {
	r := newClient().schemas()
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	defer w.Flush()
	if c.Name == "" {
		fmt.Fprintln(w, "SCHEMA\tFORMAT\tCOMPATIBILITY\tVERSIONS\tLATEST")
		return r.All(ctx, func(k *folder.Known) {
			latest := "-"
			if n := len(k.Versions); n > 0 {
				latest = k.Versions[n-1].Label()
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", k.Name, k.Format, k.Level, len(k.Versions), latest)
		})
	}
	k, err := r.Need(ctx, c.Name)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "VERSION\tNUMBER\tID")
	for _, v := range k.Versions {
		fmt.Fprintf(w, "%s\t%d\t%s\n", v.Label(), v.Number, v.ID)
	}
	return nil
}
