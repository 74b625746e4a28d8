package containerd

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/drivertest"
)

func TestSmoke(t *testing.T) {
	ctx := context.Background()
	begin := time.Now()
	d, err := Open(ctx, Config{DataDir: t.TempDir(), Private: true, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("open", time.Since(begin))
	defer func() {
		b := time.Now()
		if err := d.Purge(ctx); err != nil {
			t.Error(err)
		}
		t.Log("purge", time.Since(b))
	}()
	reg := drivertest.NewRegistry(t)
	ref := reg.Push(t, "test/busybox:1", drivertest.Busybox(t, v1.Config{}))
	begin = time.Now()
	im, err := d.Pull(ctx, driver.Pull{Ref: ref}, func(a, b int64) { t.Log("progress", a, b) })
	if err != nil {
		t.Fatal(err)
	}
	t.Log("pull", time.Since(begin), im)
	log := filepath.Join(t.TempDir(), "log")
	for i := 0; i < 5; i++ {
		begin = time.Now()
		if err := d.Create(ctx, driver.Spec{ID: "a", Image: ref, Command: []string{"sh", "-c", "echo hello; id; sleep 0.1; exit 3"}, LogPath: log}); err != nil {
			t.Fatal(err)
		}
		cr := time.Since(begin)
		pid, err := d.Start(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		t.Log("create", cr, "start", time.Since(begin)-cr, pid)
		t.Log(<-d.Exits())
		b, _ := os.ReadFile(log)
		t.Logf("%s", b)
		begin = time.Now()
		if err := d.Delete(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		t.Log("delete", time.Since(begin))
	}
}
