package ecs

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// FuzzDefinition: whatever the strings, a definition is refused or taken, and
// one that was taken is taken again as it is shown.
func FuzzDefinition(f *testing.F) {
	f.Add("web", "nginx:1", "1 vCPU", "2GB", "8000-8010", "/data", "web:1", int32(80))
	f.Add("a", "x", "256", "512", "", "/", "arn:aws:ecs:us-east-1:000000000000:task-definition/a:1", int32(0))
	f.Add("", " ", ".vcpu", "-1GB", "-", "a:b", "arn:aws:ecs:::task-definition/", int32(-1))
	f.Fuzz(func(t *testing.T, family, image, cpu, memory, ports, path, ref string, port int32) {
		parseTaskDefinition(here, ref)
		in := &ecs.RegisterTaskDefinitionInput{Family: &family, Cpu: &cpu, Memory: &memory,
			Volumes: []types.Volume{{Name: ptr("v"), Host: &types.HostVolumeProperties{SourcePath: &path}}},
			ContainerDefinitions: []types.ContainerDefinition{{Name: ptr("app"), Image: &image, Memory: ptr(int32(64)),
				PortMappings: []types.PortMapping{{ContainerPort: &port}, {ContainerPortRange: &ports}},
				MountPoints:  []types.MountPoint{{SourceVolume: ptr("v"), ContainerPath: &path}}}}}
		d, err := newDefinition(in)
		if err != nil {
			return
		}
		again, err := newDefinition(&ecs.RegisterTaskDefinitionInput{Family: d.Family, Cpu: d.Cpu, Memory: d.Memory, Volumes: d.Volumes,
			ContainerDefinitions: d.ContainerDefinitions, EnableFaultInjection: d.EnableFaultInjection, PlacementConstraints: d.PlacementConstraints})
		if err != nil {
			t.Fatalf("taken, then refused: %v", err)
		}
		one, _ := json.Marshal(d)
		two, _ := json.Marshal(again)
		if string(one) != string(two) {
			t.Fatalf("first  %s\nsecond %s", one, two)
		}
	})
}
