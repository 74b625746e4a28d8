package ecs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// checkNetworking checks port mappings and name settings against the network
// mode.
func checkNetworking(d types.TaskDefinition, c types.ContainerDefinition) error {
	name := deref(c.Name)
	if len(c.PortMappings) > 100 {
		return clientErr("Too many port mappings for container '%s'. The most is 100.", name)
	}
	if d.NetworkMode == types.NetworkModeNone && len(c.PortMappings) > 0 {
		return clientErr("Port mappings are not supported when networkMode=none.")
	}
	for _, p := range c.PortMappings {
		if err := checkPort(d.NetworkMode, name, p); err != nil {
			return err
		}
	}
	if d.NetworkMode == types.NetworkModeAwsvpc {
		switch {
		case len(c.Links) > 0:
			return clientErr("Links are not supported when networkMode=awsvpc.")
		case deref(c.Hostname) != "":
			return clientErr("hostname is not supported on container when networkMode=awsvpc.")
		case deref(c.DisableNetworking):
			return clientErr("Disable Networking is not supported on container when networkMode=awsvpc.")
		case len(c.DnsServers) > 0:
			return clientErr("DNS servers are not supported on container when networkMode=awsvpc.")
		case len(c.DnsSearchDomains) > 0:
			return clientErr("DNS search domains are not supported on container when networkMode=awsvpc.")
		case len(c.ExtraHosts) > 0:
			return clientErr("Extra hosts are not supported on container when networkMode=awsvpc.")
		}
	}
	if d.NetworkMode == types.NetworkModeHost {
		switch {
		case len(c.Links) > 0:
			return clientErr("Links are not supported when networkMode=host.")
		case deref(c.Hostname) != "":
			return clientErr("hostname is not supported on container when networkMode=host.")
		}
	}
	for _, l := range c.Links {
		target, _, _ := strings.Cut(l, ":")
		if !slices.ContainsFunc(d.ContainerDefinitions, named(target)) {
			return clientErr("Invalid 'links' setting. Unknown container: '%s'", target)
		}
	}
	return nil
}

func checkPort(mode types.NetworkMode, container string, p types.PortMapping) error {
	valid := func(v *int32, least int32) bool { return v == nil || *v >= least && *v <= 65535 }
	if r := deref(p.ContainerPortRange); r != "" {
		if p.ContainerPort != nil || p.HostPort != nil {
			return clientErr("Invalid setting for container '%s': cannot specify both single port and port range.", container)
		}
		if low, high, ok := portRange(r); !ok || low > high || low < 1 || high > 65535 {
			return clientErr("Invalid 'containerPortRange' setting for container '%s'.", container)
		}
		return nil
	}
	switch {
	case p.ContainerPort == nil || !valid(p.ContainerPort, 1):
		return clientErr("Invalid 'containerPort' setting for container '%s'.", container)
	case !valid(p.HostPort, 0):
		return clientErr("Invalid 'hostPort' setting for container '%s'.", container)
	case deref(p.HostPort) != 0 && *p.HostPort != *p.ContainerPort && (mode == types.NetworkModeAwsvpc || mode == types.NetworkModeHost):
		return clientErr("When networkMode=%s, the host ports and container ports in port mappings must match.", mode)
	case deref(p.Name) != "" && !portNameOK(*p.Name):
		return clientErr("Invalid 'name' setting of a port mapping for container '%s'. It is at most 64 letters, digits, underscores and hyphens and does not begin with a hyphen.", container)
	}
	return nil
}

func portNameOK(s string) bool { return len(s) <= 64 && nameOK.MatchString(s) && s[0] != '-' }

// portRange reads "8000-8010".
func portRange(r string) (low, high int, ok bool) {
	a, b, ok := strings.Cut(r, "-")
	low, err1 := strconv.Atoi(a)
	high, err2 := strconv.Atoi(b)
	return low, high, ok && err1 == nil && err2 == nil
}

// checkPorts refuses ports that cannot be had together: a host port that two
// mappings fix, ranges that overlap, a mapping name given twice.
func checkPorts(d types.TaskDefinition) error {
	taken, names := map[string]bool{}, map[string]bool{}
	for _, c := range d.ContainerDefinitions {
		for _, p := range c.PortMappings {
			if n := deref(p.Name); n != "" {
				if names[n] {
					return clientErr("Invalid 'name' setting of a port mapping for container '%s': port mapping name '%s' is already used.", deref(c.Name), n)
				}
				names[n] = true
			}
			low, high, ranged := portRange(deref(p.ContainerPortRange))
			switch {
			case ranged:
			case d.NetworkMode == types.NetworkModeAwsvpc || deref(p.HostPort) == 0:
				continue // one container of several may listen, or the node chooses
			default:
				low, high = int(*p.HostPort), int(*p.HostPort)
			}
			for port := low; port <= high; port++ {
				k := fmt.Sprintf("%d/%s/%t", port, protocol(p), ranged)
				if taken[k] && ranged {
					return clientErr("Invalid 'containerPortRange' setting for container '%s': container port %d is used multiple times in task.", deref(c.Name), port)
				} else if taken[k] {
					return clientErr("Invalid 'hostPort' setting for container '%s': host port %d is used multiple times in task.", deref(c.Name), port)
				}
				taken[k] = true
			}
		}
	}
	return nil
}

func protocol(p types.PortMapping) types.TransportProtocol {
	if p.Protocol == "" {
		return types.TransportProtocolTcp
	}
	return p.Protocol
}
