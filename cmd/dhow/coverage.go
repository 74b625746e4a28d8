package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/internal/awsapi/coverage"
	"github.com/dhowhq/dhow/lb"
)

type coverageCmd struct {
	Out    string `default:"docs/coverage.md" type:"path" help:"The page to write."`
	Notes  string `default:"docs/coverage-notes.tsv" type:"path" help:"What of the served operations is missing."`
	Readme string `default:"README.md" type:"path" help:"The page whose summary to write."`
	Check  bool   `help:"Fail if the pages are not current, and write nothing."`
}

// Run writes the page from the handlers that this binary has, and the rows of
// the services that are served into the README.
func (c coverageCmd) Run() error {
	p := &platform{balancer: lb.New(lb.Config{})}
	api, err := awsapi.New(awsapi.Config{Account: "000000000000"}, p.services()...)
	if err != nil {
		return err
	}
	if err := api.Verify(); err != nil {
		return err
	}
	page, err := coverage.File(api.Served(), c.Notes)
	if err != nil {
		return err
	}
	old, err := os.ReadFile(c.Readme)
	if err != nil {
		return err
	}
	readme, err := summarize(old, page)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Readme, err)
	}
	if c.Check {
		if !bytes.Equal(old, readme) {
			return errors.New("the summary in " + c.Readme + " is not current: run `dhow coverage`")
		}
		return coverage.Current(api.Served(), c.Notes, c.Out)
	}
	if err := errors.Join(os.WriteFile(c.Out, page, 0o644), os.WriteFile(c.Readme, readme, 0o644)); err != nil {
		return err
	}
	fmt.Println("wrote", c.Out, "and the summary in", c.Readme)
	return nil
}

// summarize puts the rows of the page's first table that have served
// operations between the marks in the README.
func summarize(readme, page []byte) ([]byte, error) {
	const begin, end = "<!-- served: written by dhow coverage -->\n", "<!-- end -->"
	head, rest, ok := strings.Cut(string(readme), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return nil, errors.New("the marks of the summary are missing")
	}
	var rows strings.Builder
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| service |") || strings.HasPrefix(line, "|---|") || strings.HasPrefix(line, "| [") {
			rows.WriteString(strings.ReplaceAll(line, "](#", "](docs/coverage.md#"))
		} else if rows.Len() > 0 {
			break
		}
	}
	return []byte(head + begin + rows.String() + end + tail), nil
}
