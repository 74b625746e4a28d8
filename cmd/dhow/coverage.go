package main

import (
	"fmt"
	"os"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/internal/awsapi/coverage"
	"github.com/dhowhq/dhow/lb"
)

type coverageCmd struct {
	Out   string `default:"docs/coverage.md" type:"path" help:"The page to write."`
	Notes string `default:"docs/coverage-notes.tsv" type:"path" help:"What of the served operations is missing."`
	Check bool   `help:"Fail if the page is not current, and write nothing."`
}

// Run writes the page from the handlers that this binary has.
func (c coverageCmd) Run() error {
	p := &platform{balancer: lb.New(lb.Config{})}
	api, err := awsapi.New(awsapi.Config{Account: "000000000000"}, p.services()...)
	if err != nil {
		return err
	}
	if err := api.Verify(); err != nil {
		return err
	}
	if c.Check {
		page, err := os.ReadFile(c.Out)
		if err != nil {
			return err
		}
		return coverage.Current(api.Served(), c.Notes, string(page))
	}
	page, err := coverage.File(api.Served(), c.Notes)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.Out, page, 0o644); err != nil {
		return err
	}
	fmt.Println("wrote", c.Out)
	return nil
}
