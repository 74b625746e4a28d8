package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// takeUp makes what an earlier Manager left known to this one. A record says
// that a thing is complete; what has no record, or lacks what its record says,
// is cleared away.
func (m *Linux) takeUp(vpcs []vpcRecord, endpoints []endpointRecord) error {
	if err := m.takeUpVPCs(vpcs); err != nil {
		return err
	}
	if err := m.takeUpEndpoints(endpoints); err != nil {
		return err
	}
	if err := m.clearDebris(); err != nil {
		return err
	}
	if len(m.vpcs) == 0 {
		return nil
	}
	if err := m.setHostRules(); err != nil {
		return fmt.Errorf("write the host's rules: %w", err)
	}
	for _, e := range m.endpoints {
		if e.rec.Egress || len(e.rec.Ports) > 0 && m.publishesOutside() {
			return m.startForwarding()
		}
	}
	return nil
}

func (m *Linux) takeUpVPCs(recs []vpcRecord) error {
	for _, rec := range recs {
		file, err := vpcFile(rec.ID)
		if err != nil {
			return err
		}
		path := m.routerPath(file)
		v, err := m.findVPC(rec, path)
		if err != nil {
			m.log.Warn("network: a VPC's router is gone, it is made again when it is needed", "vpc", rec.ID, "err", err)
			if err := m.records.Delete(vpcPrefix + rec.ID); err != nil {
				return err
			}
			continue
		}
		m.vpcs[rec.ID] = v
	}
	return nil
}

func (m *Linux) findVPC(rec vpcRecord, path string) (*vpc, error) {
	if !isSpace(path) {
		return nil, fmt.Errorf("no namespace at %s", path)
	}
	if _, err := m.host.nl.LinkByName(rec.Device); err != nil {
		return nil, fmt.Errorf("uplink %s: %w", rec.Device, err)
	}
	return m.openRouter(rec, path)
}

func (m *Linux) takeUpEndpoints(recs []endpointRecord) error {
	for _, rec := range recs {
		file, err := fileName(rec.ID)
		if err != nil {
			return err
		}
		e := &endpoint{rec: rec, path: m.endpointPath(file)}
		id := rec.VPC
		if rec.Mode == Bridge {
			id = bridgeID
		}
		if rec.Mode != None {
			e.vpc = m.vpcs[id]
		}
		if !isSpace(e.path) || rec.Mode != None && e.vpc == nil {
			m.log.Warn("network: an endpoint's namespace or router is gone", "endpoint", rec.ID)
			if err := m.records.Delete(endpointPrefix + rec.ID); err != nil {
				return err
			}
			continue
		}
		m.endpoints[rec.ID] = e
		if e.vpc != nil {
			e.vpc.addresses[rec.Address.Addr()] = rec.ID
		}
		m.ports.adopt(rec.ID, rec.Ports)
	}
	return nil
}

// clearDebris removes namespaces, uplinks and routes that no record tells of.
func (m *Linux) clearDebris() error {
	known := map[string]bool{}
	devices := map[string]bool{}
	for _, e := range m.endpoints {
		known[e.path] = true
	}
	for id, v := range m.vpcs {
		file, err := vpcFile(id)
		if err != nil {
			return err
		}
		known[m.routerPath(file)] = true
		devices[v.rec.Device] = true
		if err := m.clearRoutes(v); err != nil {
			return err
		}
	}
	if err := m.dropSpaces(known); err != nil {
		return err
	}
	return m.dropUplinks(devices)
}

// clearRoutes removes routes to endpoints that are not there.
func (m *Linux) clearRoutes(v *vpc) error {
	routes, err := v.router.nl.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.Dst == nil || r.Scope != netlink.SCOPE_LINK || r.LinkIndex == v.uplink {
			continue
		}
		a, ok := addrOf(r.Dst)
		if _, used := v.addresses[a]; ok && !used {
			if err := v.dropRoute(a); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropSpaces drops every namespace of the data directory but those given.
func (m *Linux) dropSpaces(keep map[string]bool) error {
	var errs error
	for _, dir := range []string{m.name.netnsDir(), m.name.routerDir()} {
		files, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for _, f := range files {
			if path := filepath.Join(dir, f.Name()); !keep[path] {
				errs = errors.Join(errs, dropSpace(path))
			}
		}
	}
	return errs
}

// dropUplinks removes every uplink of the data directory but those given.
func (m *Linux) dropUplinks(keep map[string]bool) error {
	links, err := m.host.nl.LinkList()
	if err != nil {
		return fmt.Errorf("list the host's devices: %w", err)
	}
	var errs error
	for _, l := range links {
		name := l.Attrs().Name
		if strings.HasPrefix(name, m.name.device) && !keep[name] {
			errs = errors.Join(errs, m.removeUplink(vpcRecord{Device: name}))
		}
	}
	return errs
}

// Purge implements Manager. The Manager is empty afterwards and may be used
// again.
func (m *Linux) Purge(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.endpoints {
		m.ports.free(e.rec.Ports)
	}
	clear(m.endpoints)
	for _, v := range m.vpcs {
		v.router.close()
	}
	clear(m.vpcs)
	errs := errors.Join(
		m.records.Clear(),
		m.dropSpaces(nil),
		m.dropUplinks(nil),
		m.stopForwarding(),
		m.host.transact(func(c *nftables.Conn) error {
			c.DelTable(c.AddTable(ipv4Table(m.name.table)))
			return nil
		}),
		os.RemoveAll(m.name.data),
		os.RemoveAll(m.name.netnsDir()),
		os.RemoveAll(m.name.routerDir()),
	)
	os.Remove(m.name.run) // if nothing of others is in it
	if errs != nil {
		return fmt.Errorf("network: purge: %w", errs)
	}
	return nil
}
