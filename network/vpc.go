package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// EnsureVPC implements Manager.
func (m *Linux) EnsureVPC(ctx context.Context, v VPC) error {
	if v.ID == bridgeID {
		return fmt.Errorf("network: id %q is kept for bridge mode", v.ID)
	}
	if err := CheckVPC(v); err != nil {
		return err
	}
	err := m.once(ctx, "vpc "+v.ID, func() error { return m.ensureVPC(ctx, v) })
	if err != nil {
		return fmt.Errorf("network: VPC %s: %w", v.ID, err)
	}
	return nil
}

func (m *Linux) ensureVPC(ctx context.Context, v VPC) (err error) {
	m.mu.Lock()
	have := m.vpcs[v.ID]
	m.mu.Unlock()
	if have != nil {
		if have.rec.VPC != v {
			return fmt.Errorf("it is there as %s, default %t: %w", have.rec.CIDR, have.rec.Default, ErrConflict)
		}
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	file, err := vpcFile(v.ID)
	if err != nil {
		return err
	}
	path := m.routerPath(file)
	rec := vpcRecord{VPC: v}
	if err := m.makeRouter(path, v.CIDR); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			dropSpace(path)
		}
	}()
	if rec, err = m.addUplink(rec, path); err != nil {
		return err
	}
	made, err := m.openRouter(rec, path)
	if err != nil {
		m.removeUplink(rec)
		return err
	}
	defer func() {
		if err != nil {
			made.router.close()
			m.removeUplink(rec)
		}
	}()
	if err := m.setRouterRules(made.router, rec); err != nil {
		return fmt.Errorf("write the router's rules: %w", err)
	}
	if err := m.enlist(made); err != nil {
		return fmt.Errorf("write the host's rules: %w", err)
	}
	if err := m.records.Put(vpcPrefix+rec.ID, rec); err != nil {
		m.delist(made)
		return err
	}
	return nil
}

// enlist makes a router known to m and to the host's table, which the first
// router makes.
func (m *Linux) enlist(v *vpc) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := len(m.vpcs) == 0
	m.vpcs[v.rec.ID] = v
	var err error
	if first {
		err = m.setHostRules()
	} else {
		err = m.addNets(v.rec)
	}
	if err != nil {
		delete(m.vpcs, v.rec.ID)
	}
	return err
}

func (m *Linux) delist(v *vpc) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.vpcs, v.rec.ID)
	return m.removeNets(v.rec)
}

// RemoveVPC implements Manager.
func (m *Linux) RemoveVPC(ctx context.Context, id string) error {
	err := m.once(ctx, "vpc "+id, func() error { return m.removeVPC(id) })
	if err != nil {
		return fmt.Errorf("network: remove VPC %s: %w", id, err)
	}
	return nil
}

func (m *Linux) removeVPC(id string) error {
	m.mu.Lock()
	v := m.vpcs[id]
	if v != nil && len(v.addresses) > 0 {
		n := len(v.addresses)
		m.mu.Unlock()
		return fmt.Errorf("it has %d endpoints: %w", n, ErrConflict)
	}
	if v != nil {
		delete(m.vpcs, id) // no Add finds it any more
	}
	m.mu.Unlock()
	if v == nil {
		return nil
	}
	file, err := vpcFile(id)
	if err != nil {
		return err
	}
	err = errors.Join(
		m.records.Delete(vpcPrefix+id),
		m.delist(v),
		m.removeUplink(v.rec),
		dropSpace(m.routerPath(file)),
	)
	v.router.close()
	return err
}

// bridge returns the router of bridge mode, which it makes when it is first
// needed.
func (m *Linux) bridge(ctx context.Context) (*vpc, error) {
	err := m.once(ctx, "vpc "+bridgeID, func() error {
		if v := m.vpc(bridgeID); v != nil {
			return nil
		}
		taken, err := routesOf(m.host.nl)
		if err != nil {
			return err
		}
		cidr, err := chooseBridgeCIDR(taken)
		if err != nil {
			return err
		}
		return m.ensureVPC(ctx, VPC{ID: bridgeID, CIDR: cidr})
	})
	if err != nil {
		return nil, fmt.Errorf("make the bridge network: %w", err)
	}
	return m.vpc(bridgeID), nil
}

func (m *Linux) vpc(id string) *vpc {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.vpcs[id]
}

// claim gives an address of v to an endpoint; an invalid one asks for the
// next that is free. Only bridge mode asks.
func (m *Linux) claim(v *vpc, a netip.Addr, id string) (netip.Addr, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.vpcs[v.rec.ID] != v {
		return a, ErrNotFound // removed since
	}
	if a.IsValid() {
		if holder, ok := v.addresses[a]; ok {
			return a, fmt.Errorf("address %s is endpoint %s's: %w", a, holder, ErrConflict)
		}
		v.addresses[a] = id
		return a, nil
	}
	last := lastOf(v.rec.CIDR)
	first := v.rec.hostAddress().Next()
	if !v.next.IsValid() || v.next.Compare(first) < 0 {
		v.next = first
	}
	for start, wrapped := v.next, false; ; {
		a := v.next
		if v.next = a.Next(); v.next.Compare(last) >= 0 { // the last is the broadcast address
			v.next, wrapped = first, true
		}
		if _, ok := v.addresses[a]; !ok {
			v.addresses[a] = id
			return a, nil
		}
		if wrapped && v.next.Compare(start) >= 0 {
			return a, fmt.Errorf("all addresses of the bridge network %s are taken", v.rec.CIDR)
		}
	}
}

// release undoes claim.
func (m *Linux) release(v *vpc, a netip.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(v.addresses, a)
}
