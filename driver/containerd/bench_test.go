package containerd

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/drivertest"
)

// benchDriver opens a Driver with an image in it.
func benchDriver(b *testing.B) (*Driver, string) {
	b.Helper()
	d := openTest(b, Config{})
	reg := drivertest.NewRegistry(b)
	ref := reg.Push(b, "bench/busybox:1", drivertest.Busybox(b, v1.Config{Cmd: []string{"sleep", "3600"}}))
	if _, err := d.Pull(b.Context(), driver.Pull{Ref: ref}, nil); err != nil {
		b.Fatal(err)
	}
	return d, ref
}

// rawStart creates and starts a container as containerd's own client does.
func rawStart(ctx context.Context, d *Driver, ref, id string) (stop func(), err error) {
	img, err := d.cl.GetImage(ctx, ref)
	if err != nil {
		return nil, err
	}
	c, err := d.cl.NewContainer(ctx, id, client.WithImage(img), client.WithNewSnapshot(id, img), client.WithNewSpec(oci.WithImageConfig(img)))
	if err != nil {
		return nil, err
	}
	task, err := c.NewTask(ctx, cio.NullIO)
	if err != nil {
		return nil, err
	}
	if err := task.Start(ctx); err != nil {
		return nil, err
	}
	return func() {
		exit, _ := task.Wait(ctx)
		_ = task.Kill(ctx, syscall.SIGKILL)
		<-exit
		_, _ = task.Delete(ctx)
		_ = c.Delete(ctx, client.WithSnapshotCleanup)
	}, nil
}

func driverStart(ctx context.Context, d *Driver, ref, id, dir string) (stop func(), err error) {
	if err := d.Create(ctx, driver.Spec{ID: id, Image: ref, CPUShares: 256, Memory: 64 << 20, CgroupParent: "task-" + id, LogPath: filepath.Join(dir, id+".log")}); err != nil {
		return nil, err
	}
	if _, err := d.Start(ctx, id); err != nil {
		return nil, err
	}
	return func() { _ = d.Delete(ctx, id) }, nil
}

// BenchmarkStart compares a container's start by the Driver with one by
// containerd's own client, taking turns. The bar is a ratio of 1.5.
func BenchmarkStart(b *testing.B) {
	d, ref := benchDriver(b)
	dir := b.TempDir()
	var raw, ours []time.Duration
	n := 0
	for b.Loop() {
		n++
		begin := time.Now()
		stop, err := rawStart(b.Context(), d, ref, fmt.Sprintf("raw-%d", n))
		if err != nil {
			b.Fatal(err)
		}
		raw = append(raw, time.Since(begin))
		stop()
		begin = time.Now()
		if stop, err = driverStart(b.Context(), d, ref, fmt.Sprintf("ours-%d", n), dir); err != nil {
			b.Fatal(err)
		}
		ours = append(ours, time.Since(begin))
		stop()
	}
	b.ReportMetric(ms(median(raw)), "raw-p50-ms")
	b.ReportMetric(ms(median(ours)), "driver-p50-ms")
	b.ReportMetric(ms(median(ours))/ms(median(raw)), "ratio")
}

// BenchmarkStart20 starts twenty containers at once, each way.
func BenchmarkStart20(b *testing.B) {
	d, ref := benchDriver(b)
	dir := b.TempDir()
	together := func(start func(id string) (func(), error)) (all, p50 time.Duration) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		var stops []func()
		var each []time.Duration
		begin := time.Now()
		for i := range 20 {
			wg.Go(func() {
				stop, err := start(fmt.Sprint(i))
				if err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				each = append(each, time.Since(begin))
				stops = append(stops, stop)
				mu.Unlock()
			})
		}
		wg.Wait()
		if b.Failed() {
			b.FailNow()
		}
		all = time.Since(begin)
		for _, stop := range stops {
			wg.Go(stop)
		}
		wg.Wait()
		return all, median(each)
	}
	var raw, ours, raw50, ours50 []time.Duration
	n := 0
	for b.Loop() {
		n++
		all, p50 := together(func(id string) (func(), error) {
			return rawStart(b.Context(), d, ref, fmt.Sprintf("raw-%d-%s", n, id))
		})
		raw, raw50 = append(raw, all), append(raw50, p50)
		all, p50 = together(func(id string) (func(), error) {
			return driverStart(b.Context(), d, ref, fmt.Sprintf("ours-%d-%s", n, id), dir)
		})
		ours, ours50 = append(ours, all), append(ours50, p50)
	}
	b.ReportMetric(ms(median(raw)), "raw-all-ms")
	b.ReportMetric(ms(median(ours)), "driver-all-ms")
	b.ReportMetric(ms(median(ours))/ms(median(raw)), "ratio-all")
	b.ReportMetric(ms(median(raw50)), "raw-p50-ms")
	b.ReportMetric(ms(median(ours50)), "driver-p50-ms")
	b.ReportMetric(ms(median(ours50))/ms(median(raw50)), "ratio-p50")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
