package ecs

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// TestCoverageNotes: what does not act, or is refused, is in the notes that
// docs/coverage.md is made of, in the same words.
func TestCoverageNotes(t *testing.T) {
	file, err := os.ReadFile("../../docs/coverage-notes.tsv")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(file), "\n")
	var want []string
	for _, f := range unservedFields {
		want = append(want, "ecs\tRegisterTaskDefinition."+f.Path+"\tkept and shown, but "+f.Note)
	}
	all := append(refusals(nil, nil, nil, nil, nil, nil, nil), configurationRefusals(types.DeploymentConfiguration{})...)
	for _, op := range []string{"CreateService", "UpdateService"} {
		for _, f := range all {
			want = append(want, "ecs\t"+op+"."+strings.TrimSpace(f.field)+"\trefused: "+f.help)
		}
	}
	want = append(want, "ecs\tCreateService.schedulingStrategy\trefused for DAEMON: Use REPLICA.",
		"ecs\tCreateService.loadBalancers[].loadBalancerName\trefused: there are no Classic Load Balancers. Use targetGroupArn.",
		"ecs\tCreateService.loadBalancers[].advancedConfiguration\trefused: it is for blue/green deployments. Leave it out.")
	for _, l := range want {
		if !slices.Contains(lines, l) {
			t.Errorf("docs/coverage-notes.tsv lacks: %s", l)
		}
	}
}
