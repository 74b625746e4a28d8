package agent

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/driver/drivertest"
)

func (r *real) logLacks(log string, want ...string) {
	r.t.Helper()
	for _, w := range want {
		if !strings.Contains(log, w) {
			r.t.Errorf("the log lacks %q:\n%s", w, log)
		}
	}
}

// Containers of modes task see each other's processes and shared memory, also
// of one that has ended, and nothing of it is left after the task.
func TestRealSharedNamespaces(t *testing.T) {
	r := newReal(t)
	first := optional(r.sh("first", "echo from first > /dev/shm/note"))
	beside := optional(r.sh("beside", "exec sleep 4321"))
	app := after(logged(r.sh("app", `
		cat /dev/shm/note
		echo one: $(tr '\0' ' ' < /proc/1/cmdline)
		for p in /proc/[0-9]*; do tr '\0' ' ' < $p/cmdline; echo; done | grep '^sleep 43' | grep -v grep
		test $$ = 1 || echo not the first
		while :; do usleep 100000; done`), toGroup), "first", "SUCCESS")
	app.DependsOn = append(app.DependsOn, types.ContainerDependency{ContainerName: aws.String("beside"), Condition: types.ContainerConditionStart})
	app.StopTimeout = aws.Int32(2)
	task := vpcTask("172.31.0.9", app, beside, first)
	task.Dhow.Definition.PidMode, task.Dhow.Definition.IpcMode = types.PidModeTask, types.IpcModeTask
	plain := taskOf(logged(r.sh("alone", `test -e /dev/shm/note || test $$ != 1 || echo alone`), toGroup))
	r.p.run(task, plain)
	r.p.reaches(task, cluster.Running)
	r.p.until("its output", func() bool { return strings.Contains(r.logOf(task, "app"), "not the first") })
	r.logLacks(r.logOf(task, "app"), "from first", "one: /dev/init pause", "sleep 4321")
	r.p.reaches(plain, cluster.Stopped)
	r.logLacks(r.logOf(plain, "alone"), "alone")
	for _, s := range r.p.of(task.ARN) {
		if len(s.Containers) != 3 {
			t.Errorf("%d containers are reported", len(s.Containers))
		}
	}
	// It is taken up by the next agent.
	r.halt()
	r.p.note(func() { r.p.session = nil })
	r.start()
	r.p.ready()
	r.p.end(task)
	r.p.reaches(task, cluster.Stopped)
	r.gone()
}

// Without the process that holds it a shared process namespace ends, and with
// it the task.
func TestRealPauseKilled(t *testing.T) {
	r := newReal(t)
	task := vpcTask("172.31.0.9", r.sh("app", "sleep 4000"))
	task.Dhow.Definition.PidMode = types.PidModeTask
	r.p.run(task)
	r.p.reaches(task, cluster.Running)
	if err := r.rdrv.Signal(t.Context(), r.a.engine.get(lastPart(task.ARN)).pauseID(), 9); err != nil {
		t.Fatal(err)
	}
	if end := r.p.reaches(task, cluster.Stopped); *end.Containers[0].ExitCode != 137 {
		t.Errorf("ended with %+v", end)
	}
	r.gone()
}

// A linked container is found by its name and by its alias, and starts first.
func TestRealLinks(t *testing.T) {
	r := newReal(t)
	db := r.sh("db", "while :; do echo data | nc -l -p 5000; done")
	db.StopTimeout = aws.Int32(2)
	app := logged(r.sh("app", `cat /etc/hosts; for host in db store; do
		for n in 1 2 3 4 5 6 7 8 9; do nc $host 5000 < /dev/null && break; usleep 100000; done; done`), toGroup)
	app.Links = []string{"db", "db:store"}
	task := taskOf(app, db)
	r.p.run(task)
	end := r.p.reaches(task, cluster.Stopped)
	if *end.Containers[0].ExitCode != 0 {
		t.Errorf("ended as %+v", end)
	}
	log := r.logOf(task, "app")
	r.logLacks(log, "\tdb\n", "\tstore db\n")
	answers := 0
	for line := range strings.Lines(log) {
		if strings.TrimSpace(line) == "data" {
			answers++
		}
	}
	if answers != 2 {
		t.Errorf("it was answered %d times:\n%s", answers, log)
	}
	r.gone()
}

// A volume gets at its first use what the image has at its place; volumes that
// an image declares are shared by volumesFrom.
func TestRealFilledVolumes(t *testing.T) {
	r := newReal(t,
		drivertest.File{Path: "seeded", Dir: true, Mode: 0o755, UID: 1000}, drivertest.File{Path: "seeded/file", Mode: 0o644, Body: []byte("of the image\n")},
		drivertest.File{Path: "given", Dir: true, Mode: 0o755}, drivertest.File{Path: "given/asset", Mode: 0o644, Body: []byte("an asset\n")})
	source := optional(r.sh("source", "echo more > /given/more; cat /seeded/file > /seeded/copy"))
	source.MountPoints = []types.MountPoint{{SourceVolume: aws.String("v"), ContainerPath: aws.String("/seeded")}}
	app := logged(r.sh("app", `cat /given/asset /given/more /elsewhere/file /elsewhere/copy; stat -c 'owner %u' /elsewhere; touch /given/x 2>/dev/null || echo read-only`), toGroup)
	app.MountPoints = []types.MountPoint{{SourceVolume: aws.String("v"), ContainerPath: aws.String("/elsewhere")}}
	app.VolumesFrom = []types.VolumeFrom{{SourceContainer: aws.String("source"), ReadOnly: aws.Bool(true)}}
	app = after(app, "source", "SUCCESS")
	task := vpcTask("172.31.0.9", app, source)
	task.Dhow.Definition.Volumes = []types.Volume{{Name: aws.String("v")}}
	r.p.run(task)
	r.p.reaches(task, cluster.Stopped)
	r.logLacks(r.logOf(task, "app"), "an asset\nmore\nof the image\nof the image\nowner 1000\nread-only")
	r.gone()
}
