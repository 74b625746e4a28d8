// Package driver is what a node needs of a container runtime. One noun,
// several back ends: driver/containerd runs containers, driver/sim only keeps
// their states and timings. drivertest is the contract that both pass.
package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

// Errors that callers tell apart. The text that wraps them is shown to users.
var (
	ErrNotFound      = errors.New("not found")
	ErrImageNotFound = errors.New("image not found")
	ErrAuth          = errors.New("registry refused the credentials")
	ErrUnreachable   = errors.New("registry unreachable")
	ErrCommand       = errors.New("command cannot be started") // no such file, not executable, no such user or directory
)

// Driver runs containers on one machine. Containers outlive the Driver: after
// Close, and after a crash, a new Driver finds them by List. Methods are safe
// for concurrent use.
type Driver interface {
	// Pull makes the image present and unpacked, and returns it. Concurrent
	// pulls of one reference are one pull. progress, if not nil, is told of
	// bytes so far and in all (0: not known).
	Pull(ctx context.Context, p Pull, progress func(done, total int64)) (Image, error)
	// Image returns the image if it is present, else ErrImageNotFound.
	Image(ctx context.Context, ref string) (Image, error)
	// Images returns the images that are present.
	Images(ctx context.Context) ([]Image, error)
	// RemoveImage forgets an image; its space is freed when no container and
	// no other image needs it. Removing what is not there is no error.
	RemoveImage(ctx context.Context, ref string) error
	// Create prepares a container: snapshot, mounts, log file. The image must
	// be present.
	Create(ctx context.Context, s Spec) error
	// Start starts a created container; an error wraps ErrCommand where the
	// spec, not the machine, is at fault. A failed start leaves it created.
	Start(ctx context.Context, id string) (pid int, err error)
	// Signal sends sig to the first process; ErrNotFound if it is not running.
	Signal(ctx context.Context, id string, sig syscall.Signal) error
	// Delete removes the container, killing it if need be. Deleting what is
	// not there is no error.
	Delete(ctx context.Context, id string) error
	// List returns every container of this Driver's data directory.
	List(ctx context.Context) ([]Container, error)
	// Exits delivers each exit once, as soon as it is seen. An exit that
	// happened while no Driver was there is in List, not here.
	Exits() <-chan Exit
	// Stats reads a running container's counters.
	Stats(ctx context.Context, id string) (Stats, error)
	// Exec runs one more process in a running container and waits for it. A
	// cancelled ctx kills it.
	Exec(ctx context.Context, id string, e Exec) (exitCode int, err error)
	// Version names the runtime and its version.
	Version() string
	// Close detaches; containers keep running.
	Close() error
}

// Pull says what to fetch. Ref is a full reference: registry, repository, tag
// or digest.
type Pull struct {
	Ref       string
	User      string
	Password  string
	PlainHTTP bool
	Endpoint  string // host:port to dial instead of the reference's registry; "" for itself
	Always    bool   // ask the registry even if the reference is present
}

// Image is a present image.
type Image struct {
	Ref        string
	Digest     string // of the manifest, sha256:…
	Size       int64
	Entrypoint []string
	Command    []string
	Env        []string
	WorkingDir string
	User       string
	StopSignal string // as in the image, "" if unset
	Volumes    []string
}

// Spec is a container to create. Zero values mean the image's own, or none.
type Spec struct {
	ID     string // unique, [a-zA-Z0-9._-]{1,76}
	Labels map[string]string
	Image  string // a reference that Pull or Image returned

	Entrypoint []string // nil: the image's, with its command unless Command is set
	Command    []string // nil: the image's, unless Entrypoint is set
	Env        []string // NAME=value, on top of the image's
	WorkingDir string
	User       string // name or uid, with optional :group
	Hostname   string
	TTY        bool
	Stdin      bool // keep stdin open

	NetNS  string // path of the network namespace; "" for the host's
	PidNS  string // "host", "container:ID", or "" for its own
	IpcNS  string // "host", "none", "container:ID", "shareable" (its own, that others may join), or "" for its own
	UTSNS  string // "host" or ""
	Mounts []Mount

	CgroupParent      string // below the driver's own; "" for none; made with its first container, removed with its last
	ParentCPUQuota    int64  // hard limit of CgroupParent as a whole in 1/1024 vCPU; 0: none
	ParentMemory      int64  // hard limit of CgroupParent as a whole in bytes; 0: none
	CPUShares         int64  // relative weight, 1024 = one vCPU; 0: the least
	CPUQuota          int64  // hard limit in 1/1024 vCPU; 0: none
	Memory            int64  // hard limit in bytes; 0: none
	MemoryReservation int64  // soft limit in bytes
	MemorySwap        int64  // swap on top of Memory, bytes; -1 unlimited
	Swappiness        *int64
	PidsLimit         int64

	Privileged      bool
	ReadonlyRoot    bool
	NoNewPrivileges bool
	Init            bool // a small init as first process, which reaps and forwards signals
	Pause           bool // that init alone, which waits for SIGTERM: others join its namespaces; no command, user or volumes
	CapAdd          []string
	CapDrop         []string
	Ulimits         []Ulimit
	Sysctls         map[string]string
	Devices         []Device
	ShmSize         int64 // bytes of /dev/shm; 0: 64 MiB

	// LogPath is the file that gets standard output and error together, byte
	// for byte as the container wrote them, without framing; the order
	// between the two streams is not kept to the byte. "" throws them away. Create makes it, the runtime appends to it without help from this
	// process and is never blocked by it. A reader may punch holes into what
	// it has read; the file belongs to the caller and Delete leaves it.
	LogPath string
}

// Mount is a bind mount, a tmpfs or a volume directory of the host.
type Mount struct {
	Type     string // bind, tmpfs
	Source   string
	Target   string
	ReadOnly bool
	Options  []string // size=…, mode=… for tmpfs
	// Fill has Create copy what the image has at Target, with owner and modes,
	// into Source if that is an empty directory.
	Fill bool
}

// Ulimit is one resource limit: nofile, nproc, memlock, …
type Ulimit struct {
	Name       string
	Soft, Hard int64
}

// Device passes a device of the host through.
type Device struct {
	Host, Container string
	Permissions     string // rwm
}

// State of a container.
type State string

// The states a container goes through.
const (
	Created State = "created"
	Running State = "running"
	Exited  State = "exited"
)

// Container is what List says of one.
type Container struct {
	ID         string
	Labels     map[string]string
	Image      string
	State      State
	Pid        int
	ExitCode   int
	CreatedAt  time.Time
	StartedAt  time.Time
	FinishedAt time.Time
	OOMKilled  bool
	LogPath    string
}

// Exit is the end of a container's first process.
type Exit struct {
	ID        string
	Code      int // 128 + signal where a signal ended it
	OOMKilled bool
	At        time.Time
}

// Stats are a container's counters since its start.
type Stats struct {
	At          time.Time
	CPUNanos    uint64
	MemoryBytes uint64 // working set: usage less inactive file cache
	MemoryLimit uint64
	Pids        uint64
	ReadBytes   uint64
	WriteBytes  uint64
}

// Exec is one more process in a container.
type Exec struct {
	Command        []string
	Env            []string
	User           string
	WorkingDir     string
	TTY            bool
	Stdin          io.Reader
	Stdout, Stderr io.Writer   // with TTY all output goes to Stdout
	Resize         <-chan Size // TTY only; nil: never resized
}

// Size of a terminal in characters.
type Size struct{ Rows, Columns uint16 }

// ValidID checks a container ID: it is also a file and a cgroup name.
func ValidID(id string) error {
	if len(id) == 0 || len(id) > 76 || id == "." || id == ".." {
		return fmt.Errorf("container id %q: it must have 1 to 76 characters", id)
	}
	for _, r := range id {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-'
		if !ok {
			return fmt.Errorf("container id %q: it may have letters, digits, '.', '_' and '-'", id)
		}
	}
	return nil
}
