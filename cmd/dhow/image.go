package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/image"
)

type imageCmd struct {
	Build imageBuildCmd `cmd:"" help:"Make an image of a program or a directory and push it to the platform."`
}

type imageBuildCmd struct {
	Tag        string   `short:"t" required:"" placeholder:"NAME[:TAG]" help:"Repository and tag to push to; the repository is made if it is missing."`
	From       string   `help:"The image below: a reference, an OCI layout, or a tarball of docker save."`
	Entrypoint []string `sep:"none" help:"Entrypoint; once for each word."`
	Cmd        []string `sep:"none" help:"Command; once for each word."`
	Env        []string `short:"e" sep:"none" placeholder:"NAME=VALUE" help:"Environment of the image."`
	Workdir    string   `help:"Working directory."`
	User       string   `help:"User, or UID[:GID]."`
	Expose     []string `help:"Port that the program listens on."`
	Target     string   `help:"Where in the image a directory's contents go; / by default."`
	Platform   string   `help:"linux/amd64 or such; the program's own by default."`
	Path       string   `arg:"" type:"existingpath" help:"A program, or a directory."`
}

// Run builds, makes the repository, and pushes.
func (c imageBuildCmd) Run(ctx context.Context) error {
	cl := newClient()
	name, _, _ := strings.Cut(c.Tag, ":")
	res, err := cl.do(ctx, http.MethodPost, "/_dhow/repositories/"+name, nil)
	if err != nil {
		return err
	}
	res.Body.Close()
	remote := image.Remote{Endpoint: cl.url,
		Scope: cluster.Scope{Account: res.Header.Get("X-Dhow-Account"), Region: res.Header.Get("X-Dhow-Region")}}
	began := time.Now()
	img, err := image.Build(ctx, image.BuildOptions{Path: c.Path, Target: c.Target, From: c.From, Remote: remote, Entrypoint: c.Entrypoint, Cmd: c.Cmd,
		Env: c.Env, WorkingDir: c.Workdir, User: c.User, Expose: c.Expose, Platform: c.Platform})
	if err != nil {
		return err
	}
	fmt.Printf("built %s in %d ms\n", c.Path, time.Since(began).Milliseconds())
	bar := newBar("pushing")
	ref, err := image.Push(ctx, img, c.Tag, image.PushOptions{Remote: remote, Progress: bar.set})
	bar.end()
	if err != nil {
		return err
	}
	fmt.Println("pushed", ref)
	return nil
}

// bar is a progress bar on a terminal, and nothing elsewhere.
type bar struct {
	title string
	shown bool
	last  time.Time
}

func newBar(title string) *bar {
	return &bar{title: title, shown: term.IsTerminal(int(os.Stdout.Fd()))}
}

const barWidth = 40

// set draws done of total bytes, ten times a second at most.
func (b *bar) set(done, total int64) {
	b.draw(done, total, func() string { return fmt.Sprintf("%5.1f of %.1f MB", float64(done)/1e6, float64(total)/1e6) })
}

// count draws done of total things.
func (b *bar) count(done, total int64, things string) {
	b.draw(done, total, func() string { return fmt.Sprintf("%d of %d %s", done, total, things) })
}

func (b *bar) draw(done, total int64, text func() string) {
	if !b.shown || total <= 0 || done < total && time.Since(b.last) < 100*time.Millisecond {
		return
	}
	b.last = time.Now()
	full := int(barWidth * min(done, total) / total)
	fmt.Printf("\r%s %s%s %s", b.title, strings.Repeat("█", full), strings.Repeat("░", barWidth-full), text())
}

// end ends the bar's line; once is enough.
func (b *bar) end() {
	if b.shown && !b.last.IsZero() {
		fmt.Println()
		b.last = time.Time{}
	}
}
