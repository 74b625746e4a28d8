package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"
)

// measureDeep measures starts and memory with 10,000,000 messages waiting: after
// a kill in the moment that they are sent, and after a clean stop. It takes minutes and some GB of disk.
func measureDeep(ctx context.Context, b *bench) error {
	const (
		startBar = 2 * time.Second
		memory   = 1.5 // GiB
	)
	if !b.long {
		return fmt.Errorf("%w: takes minutes; -long measures it", errSkipped)
	}
	if b.p != nil { // two platforms are one too many for the memory of small machines
		if err := b.p.down(); err != nil {
			return err
		}
		b.p = nil
	}
	d := deep{bin: b.bin, listen: b.listen, dir: filepath.Join(b.dir, "deep")}
	defer d.down()
	if err := d.start(ctx); err != nil {
		return err
	}
	q, err := makeQueue(ctx, d.p.url, "deep")
	if err != nil {
		return err
	}
	if err := q.fill(ctx, 10, kilobyte[:100]); err != nil {
		return err
	}
	empty, err := d.again(ctx, q, syscall.SIGTERM)
	if err != nil {
		return err
	}
	if err := q.fill(ctx, b.depth, kilobyte[:100]); err != nil {
		return err
	}
	filled, err := resident(d.p.pid())
	if err != nil {
		return err
	}
	killed, err := d.again(ctx, q, syscall.SIGKILL)
	if err != nil {
		return err
	}
	clean, err := d.again(ctx, q, syscall.SIGTERM)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d messages wait", b.depth)
	worst := max(clean.ready, clean.first, killed.ready, killed.first)
	b.table.add("start, "+what, fmt.Sprintf("after a kill ready in %s, first message in %s; after a clean stop %s, %s", ms(killed.ready), ms(killed.first), ms(clean.ready), ms(clean.first)),
		fmt.Sprintf("few wait: %s, %s", ms(empty.ready), ms(empty.first)), ms(worst), "≤ "+ms(startBar), verdict(worst <= startBar))
	most := max(filled, clean.mib, killed.mib) / 1024
	b.table.add("resident, "+what, fmt.Sprintf("%.2f GiB when filled, %.2f GiB after a kill, %.2f GiB after a clean stop", filled/1024, killed.mib/1024, clean.mib/1024),
		fmt.Sprintf("few wait: %.2f GiB", empty.mib/1024), fmt.Sprintf("%.2f GiB", most), fmt.Sprintf("≤ %.1f GiB", memory), verdict(most <= memory))
	return d.down()
}

// deep is a platform that is started again and again over one directory.
type deep struct {
	bin, listen, dir string
	p                *platform
	took             time.Duration
	began            time.Time
}

func (d *deep) start(ctx context.Context) (err error) {
	d.began = time.Now()
	d.p, d.took, err = start(ctx, d.bin, d.listen, d.dir)
	return err
}

func (d *deep) down() error {
	if d.p == nil {
		return nil
	}
	p := d.p
	d.p = nil
	return p.down()
}

// started is what a start took until the platform was ready and until it gave a
// message, and what it has resident then.
type started struct {
	ready, first time.Duration
	mib          float64
}

// again ends the process and starts it. Nothing that was sent may be missing.
func (d *deep) again(ctx context.Context, q *queue, end syscall.Signal) (s started, err error) {
	before, err := waiting(ctx, q)
	if err != nil {
		return s, err
	}
	d.p.cmd.Process.Signal(end)
	d.p.cmd.Wait()
	if err := d.start(ctx); err != nil {
		return s, err
	}
	s.ready = d.took
	c := dial(ctx, d.p.url, 1)
	defer hangUp(c)
	answer, err := c[0].do(q.receive(0))
	if err != nil {
		return s, err
	}
	s.first = time.Since(d.began)
	gone, n := q.remove(answer)
	if n == 0 {
		return s, errors.New("nothing was received after the start")
	}
	if _, err := c[0].do(gone); err != nil {
		return s, err
	}
	after, err := waiting(ctx, q)
	if err != nil {
		return s, err
	}
	if after+n != before {
		return s, fmt.Errorf("%d messages wait after the start and %d were received, instead of %d", after, n, before)
	}
	if err := sleep(ctx, 5*time.Second); err != nil { // what a start leaves to do
		return s, err
	}
	s.mib, err = resident(d.p.pid())
	return s, err
}
