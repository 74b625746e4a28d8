package bus

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

func TestDynamic(t *testing.T) {
	event := []byte(`{"source":"shop","detail":{"id":"o 1","n":1.50,"list":["a",{"b":"c"}],"set":"$.source"}}`)
	http := &types.HttpParameters{PathParameterValues: []string{"$.detail.id", "x$.detail.id", "$5.00"}, HeaderParameters: map[string]string{"$.source": "$.detail.n"},
		QueryStringParameters: map[string]string{"l": "$.detail.list", "s": "$.detail.set"}}
	definition, group := "$.detail.id", "static"
	got, err := dynamic(types.Target{HttpParameters: http, EcsParameters: &types.EcsParameters{TaskDefinitionArn: &definition, Group: &group, LaunchType: types.LaunchTypeFargate,
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"$.detail.list[0]"}}}}}, event)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal([]any{got.HttpParameters, got.EcsParameters.TaskDefinitionArn, got.EcsParameters.Group, got.EcsParameters.LaunchType, got.EcsParameters.NetworkConfiguration.AwsvpcConfiguration.Subnets})
	want := `[{"HeaderParameters":{"$.source":"1.50"},"PathParameterValues":["o 1","x$.detail.id","$5.00"],"QueryStringParameters":{"l":"[\"a\",{\"b\":\"c\"}]","s":"$.source"}},"o 1","static","FARGATE",["a"]]`
	if string(b) != want {
		t.Errorf("got %s\nwant %s", b, want)
	}
	if http.PathParameterValues[0] != "$.detail.id" {
		t.Error("the rule's own target was changed")
	}
	missing := types.Target{HttpParameters: &types.HttpParameters{PathParameterValues: []string{"$.detail.gone"}}}
	if _, err := dynamic(missing, event); err == nil || !strings.Contains(err.Error(), "$.detail.gone") {
		t.Errorf("of a path to nothing: %v", err)
	}
}
