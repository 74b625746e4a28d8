package network

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// join puts the parts of a rule together.
func join(parts ...[]expr.Any) []expr.Any {
	var all []expr.Any
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func verdict(k expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: k}} }

var (
	accept     = verdict(expr.VerdictAccept)
	drop       = verdict(expr.VerdictDrop)
	masquerade = []expr.Any{&expr.Masq{}}
)

// inDevice and outDevice compare a device's name, or its beginning if whole is
// false.
func inDevice(op expr.CmpOp, name string, whole bool) []expr.Any {
	return deviceName(expr.MetaKeyIIFNAME, op, name, whole)
}

func outDevice(op expr.CmpOp, name string, whole bool) []expr.Any {
	return deviceName(expr.MetaKeyOIFNAME, op, name, whole)
}

func deviceName(key expr.MetaKey, op expr.CmpOp, name string, whole bool) []expr.Any {
	data := []byte(name)
	if whole {
		data = make([]byte, unix.IFNAMSIZ)
		copy(data, name)
	}
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: op, Register: 1, Data: data},
	}
}

// inGroup compares the group of the device a packet came in by.
func inGroup(op expr.CmpOp, group uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFGROUP, Register: 1},
		&expr.Cmp{Op: op, Register: 1, Data: binaryutil.NativeEndian.PutUint32(group)},
	}
}

const (
	sourceOffset      = 12 // in an IPv4 header
	destinationOffset = 16
)

func address(offset uint32) *expr.Payload {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}
}

// from and to compare an address with a range.
func from(op expr.CmpOp, p netip.Prefix) []expr.Any { return within4(sourceOffset, op, p) }
func to(op expr.CmpOp, p netip.Prefix) []expr.Any   { return within4(destinationOffset, op, p) }

func within4(offset uint32, op expr.CmpOp, p netip.Prefix) []expr.Any {
	mask := ipNet(p).Mask
	return []expr.Any{
		address(offset),
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: 1, Data: p.Masked().Addr().AsSlice()},
	}
}

// inSet looks an address up in a set.
func inSet(offset uint32, s *nftables.Set) []expr.Any {
	return []expr.Any{address(offset), &expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID}}
}

// verdictOf looks an address up in a verdict map.
func verdictOf(offset uint32, s *nftables.Set) []expr.Any {
	return []expr.Any{
		address(offset),
		&expr.Lookup{SourceRegister: 1, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: s.Name, SetID: s.ID},
	}
}

// local matches packets to an address of this namespace.
var local = []expr.Any{
	&expr.Fib{Register: 1, ResultADDRTYPE: true, FlagDADDR: true},
	&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
}

// Bits of conntrack's status.
const statusDNAT = 1 << 5

// established matches packets of a known connection, unknown the others,
// translated those whose destination was rewritten.
var (
	established = conntrack(expr.CtKeySTATE, expr.CmpOpNeq, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
	unknown     = conntrack(expr.CtKeySTATE, expr.CmpOpEq, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
	translated  = conntrack(expr.CtKeySTATUS, expr.CmpOpNeq, statusDNAT)
)

func conntrack(key expr.CtKey, op expr.CmpOp, bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Register: 1, Key: key},
		&expr.Bitwise{
			SourceRegister: 1, DestRegister: 1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: op, Register: 1, Data: make([]byte, 4)},
	}
}

// baseChain describes a chain that packets go through.
func baseChain(t *nftables.Table, name string, typ nftables.ChainType, hook *nftables.ChainHook, prio *nftables.ChainPriority) *nftables.Chain {
	policy := nftables.ChainPolicyAccept
	return &nftables.Chain{Table: t, Name: name, Type: typ, Hooknum: hook, Priority: prio, Policy: &policy}
}

// newTable empties the table of the given name, or makes it: the transaction
// that goes on to fill it replaces the old one without a gap.
func newTable(c *nftables.Conn, name string) *nftables.Table {
	t := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: name}
	c.AddTable(t)
	c.DelTable(t)
	return c.AddTable(t)
}

func ipv4Table(name string) *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyIPv4, Name: name}
}
