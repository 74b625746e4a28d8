package ecs

import (
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// regionPattern is what a region is named like: it becomes part of keys.
var regionPattern = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// capabilities are the Linux capabilities that the API reference lists for
// KernelCapabilities.
var capabilities = strings.Fields(`ALL AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND CHOWN DAC_OVERRIDE
	DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN
	NET_BIND_SERVICE NET_BROADCAST NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE
	SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG SYSLOG WAKE_ALARM`)

func checkLinux(_ types.TaskDefinition, c types.ContainerDefinition) error {
	l := c.LinuxParameters
	if l == nil {
		return nil
	}
	bad := func(field, why string) error {
		return clientErr("Invalid 'linuxParameters.%s' setting for container '%s'. %s", field, deref(c.Name), why)
	}
	if k := l.Capabilities; k != nil {
		for _, name := range slices.Concat(k.Add, k.Drop) {
			if !slices.Contains(capabilities, name) {
				return bad("capabilities", "Unknown capability: "+name)
			}
		}
	}
	for _, d := range l.Devices {
		if !strings.HasPrefix(deref(d.HostPath), "/") {
			return bad("devices", "Each device needs a hostPath, as in /dev/fuse.")
		}
	}
	for _, t := range l.Tmpfs {
		if !strings.HasPrefix(deref(t.ContainerPath), "/") || t.Size < 1 {
			return bad("tmpfs", "Each needs a containerPath and a size of at least 1 MiB.")
		}
	}
	switch {
	case l.SharedMemorySize != nil && *l.SharedMemorySize < 1:
		return bad("sharedMemorySize", "It must be at least 1 MiB.")
	case l.MaxSwap != nil && *l.MaxSwap < 0:
		return bad("maxSwap", "It must not be negative.")
	case l.Swappiness != nil && (*l.Swappiness < 0 || *l.Swappiness > 100):
		return bad("swappiness", "It must be between 0 and 100.")
	}
	return nil
}

func checkLogging(d types.TaskDefinition, c types.ContainerDefinition) error {
	if f := c.FirelensConfiguration; f != nil && f.Type == "" {
		return clientErr("Invalid 'firelensConfiguration' setting for container '%s'. Its type is fluentd or fluentbit.", deref(c.Name))
	}
	l := c.LogConfiguration
	if l == nil {
		return nil
	}
	switch l.LogDriver {
	case "":
		return clientErr("Log driver should not be null or empty for container '%s'.", deref(c.Name))
	case types.LogDriverAwslogs:
		var absent []string
		// Tasks on Fargate and EC2 alike name their group; dhow knows its region.
		for _, o := range []string{"awslogs-region", "awslogs-group"} {
			if l.Options[o] == "" {
				absent = append(absent, o)
			}
		}
		if len(absent) > 0 {
			return clientErr("Log driver awslogs requires options: %s", strings.Join(absent, ", "))
		}
		if !regionPattern.MatchString(l.Options["awslogs-region"]) {
			return clientErr("Invalid value for log option awslogs-region of container '%s': %s.", deref(c.Name), l.Options["awslogs-region"])
		}
		switch l.Options["mode"] {
		case "", "blocking", "non-blocking":
		default:
			return clientErr("Invalid value for log option mode of container '%s': %s. It is blocking or non-blocking.", deref(c.Name), l.Options["mode"])
		}
	case types.LogDriverAwsfirelens:
		router := func(c types.ContainerDefinition) bool { return c.FirelensConfiguration != nil }
		if !slices.ContainsFunc(d.ContainerDefinitions, router) {
			return clientErr("When a container uses the awsfirelens log driver, one container of the task must have a firelensConfiguration.")
		}
	}
	return nil
}
