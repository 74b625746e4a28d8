package model

import (
	"testing"
)

func TestLoadAll(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 30 {
		t.Errorf("only %d models", len(all))
	}
	for _, i := range all {
		m, err := Load(i.Name)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Ops) != len(i.Ops) || len(m.Shapes) == 0 {
			t.Errorf("%s: %d operations, the index says %d", i.Name, len(m.Ops), len(i.Ops))
		}
		for n, op := range i.Ops {
			if m.Op(op) == nil || !i.HasOp(op) || n > 0 && i.Ops[n-1] >= op {
				t.Errorf("%s.%s is missing or out of order", i.Name, op)
			}
		}
		if i.SigningName == "" || len(i.Protocols) == 0 || i.Protocols[0] == "" || i.Version == "" {
			t.Errorf("%s: incomplete: %+v", i.Name, i)
		}
	}
	if _, err := Load("nothing"); err == nil {
		t.Error("a model named nothing was loaded")
	}
	if i, ok := Lookup("ecs"); !ok || i.TargetPrefix != "AmazonEC2ContainerServiceV20141113" || i.HasOp("Nothing") {
		t.Errorf("ecs is %+v", i)
	}
}

func TestExceptions(t *testing.T) {
	m, err := Load("elbv2")
	if err != nil {
		t.Fatal(err)
	}
	byCode, byName := m.Exception("LoadBalancerNotFound"), m.Exception("LoadBalancerNotFoundException")
	if byCode == nil || byCode != byName || byName.Code != "LoadBalancerNotFound" || byName.Status != 400 {
		t.Errorf("%+v, %+v", byCode, byName)
	}
}

func BenchmarkIndex(b *testing.B) {
	for b.Loop() {
		var list []*Info
		if err := read("index", &list); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkRead(b *testing.B, name string) {
	i, _ := Lookup(name)
	for b.Loop() {
		if _, err := (&entry{info: i}).read(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadECS(b *testing.B) { benchmarkRead(b, "ecs") }
func BenchmarkReadEC2(b *testing.B) { benchmarkRead(b, "ec2") }
