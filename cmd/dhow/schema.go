package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/folder"
	"github.com/dhowhq/dhow/sdk/avro"
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

// maxPassed bounds how many files are named that are no schemas.
const maxPassed = 5

// tellPassed names, on a line, what of the folder is no schema by its name: it may
// be misspelled.
func (f schemaFolder) tellPassed(out io.Writer) {
	list, err := folder.Passed(os.DirFS(f.Dir))
	if err != nil || len(list) == 0 {
		return
	}
	more := ""
	if n := len(list) - maxPassed; n > 0 {
		list, more = list[:maxPassed], fmt.Sprintf(" and %d more", n)
	}
	fmt.Fprintf(out, "dhow: passed over %s%s: schemas end with .avsc, .json, .proto, .avdl or .avpr\n", strings.Join(list, ", "), more)
}

// compare asks the registry about all files.
func (f schemaFolder) compare(ctx context.Context) ([]folder.Finding, error) {
	f.tellPassed(os.Stderr)
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
	c.tellStale(list)
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

// tellStale says what of the folder its lock does not have. That is no error: what
// is changed is locked after it is pushed.
func (c schemaCheckCmd) tellStale(list []folder.Finding) {
	stale := folder.Stale(os.DirFS(c.Dir), list)
	if len(stale) == 0 {
		return
	}
	mend := "run dhow schema lock"
	if slices.ContainsFunc(list, func(f folder.Finding) bool { return f.As == nil }) {
		mend = "run dhow schema push, then dhow schema lock"
	}
	path := relative(filepath.Join(c.Dir, avro.LockName))
	fmt.Printf("\n%s is out of date, and a program with it does not start or lacks a version: %s\n", path, mend)
	for _, l := range stale {
		fmt.Println("  -", l)
		if c.annotates() {
			fmt.Printf("::warning file=%s,line=1,title=out of date::%s: %s\n", filepath.ToSlash(path), annotation.Replace(l), mend)
		}
	}
}

func printFindings(out io.Writer, list []folder.Finding) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SCHEMA\tFILE\tLATEST\tCHANGE\tVERSION")
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
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", f.Name, f.Path, latest, change, next)
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

// annotation escapes a text in a workflow command of GitHub's.
var annotation = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")

// annotate prints GitHub's workflow commands.
func (c schemaCheckCmd) annotate(f folder.Finding) {
	for i, l := range reasons(f) {
		at := f.Place()
		if i < len(f.Breaks) {
			at = f.PlaceOf(f.Breaks[i])
		}
		file := filepath.ToSlash(relative(filepath.Join(c.Dir, at.File)))
		fmt.Printf("::error file=%s,line=%d,title=%s::%s\n", file, at.Line, f.Name, annotation.Replace(l))
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
	for _, bad := range folder.Malformed(err) {
		at := filepath.ToSlash(relative(filepath.Join(c.Dir, bad.Place.File)))
		fmt.Printf("::error file=%s,line=%d,title=no schema::%s\n", at, max(1, bad.Place.Line), annotation.Replace(bad.Detail))
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

// levelFlag is a compatibility, in capitals or not; "" where it is not given.
type levelFlag contract.Level

func (l *levelFlag) UnmarshalText(text []byte) error {
	level := contract.Level(strings.ToUpper(string(text)))
	all := []contract.Level{contract.None, contract.Disabled, contract.Backward, contract.BackwardAll, contract.Forward,
		contract.ForwardAll, contract.Full, contract.FullAll}
	if !slices.Contains(all, level) {
		return fmt.Errorf("%q is no compatibility: it is one of %v", text, all)
	}
	*l = levelFlag(level)
	return nil
}

type schemaPushCmd struct {
	schemaFolder  `embed:""`
	Compatibility levelFlag `placeholder:"LEVEL" help:"Compatibility of schemas that are new, BACKWARD by default: NONE, DISABLED, BACKWARD, FORWARD or FULL, and of the last three with _ALL. One that is there keeps its own: aws glue update-schema changes it."`
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
	level, r := contract.Level(c.Compatibility), newClient().schemas()
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "SCHEMA\tVERSION\tSTATUS\tID")
	registered := map[string]bool{} // a released file and the one worked at may be one version
	for _, f := range list {
		what := "registered"
		if f.As != nil {
			what = "is there"
		}
		if level != "" && f.Level != "" && f.Level != level {
			fmt.Fprintf(os.Stderr, "dhow: %s keeps its compatibility, %s: aws glue update-schema changes it\n", f.Name, f.Level)
		}
		v, err := r.Push(ctx, f, cmp.Or(level, contract.Backward))
		if err != nil {
			return fmt.Errorf("%s: %w", f.At(), err)
		}
		if registered[v.ID] {
			what = "is there"
		}
		registered[v.ID] = true
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
	if c.Name == "" {
		fmt.Fprintln(w, "SCHEMA\tFORMAT\tCOMPATIBILITY\tVERSIONS\tLATEST")
		err := r.All(ctx, func(k *folder.Known) {
			latest := "-"
			if n := len(k.Versions); n > 0 {
				latest = k.Versions[n-1].Label()
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", k.Name, k.Format, k.Level, len(k.Versions), latest)
		})
		if err != nil {
			return err
		}
		return w.Flush()
	}
	k, err := r.Need(ctx, c.Name)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "VERSION\tNUMBER\tID")
	for _, v := range k.Versions {
		fmt.Fprintf(w, "%s\t%d\t%s\n", v.Label(), v.Number, v.ID)
	}
	return w.Flush()
}
