package impact

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func definition(labels map[string]string) types.TaskDefinition {
	name := "web"
	return types.TaskDefinition{ContainerDefinitions: []types.ContainerDefinition{{Name: &name, DockerLabels: labels}}}
}

func TestLabels(t *testing.T) {
	for _, c := range []struct{ key, value, want, err string }{
		{Produces, "shop/order@1.2.0", "[produces shop/order 1.2.0]", ""},
		{Produces, "order@1.2.0 , shop/a@0.1.0", "[produces default-registry/order 1.2.0 produces shop/a 0.1.0]", ""},
		{Consumes, "shop/order@^1,shop/customer", "[consumes shop/customer  consumes shop/order ^1]", ""},
		{Consumes, "shop/order@>=1.2 <3", "[consumes shop/order >=1.2 <3]", ""},
		{Consumes, "a/b@1,a/b@1", "[consumes a/b 1]", ""},
		{"com.example.team", "x", "[]", ""},
		{Produces, "shop/order@^1", "", `"^1" is none`},
		{Produces, "shop/order", "", "is of one version, as in shop/order@1.2.0"},
		{Produces, "shop/order@1.2.0-rc1", "", "is none"},
		{Consumes, "shop/order@latest", "", "not a range"},
		{Consumes, "shop/order@", "", "nothing after its @"},
		{Consumes, "shop/order@>=1.2, <3", "", "joined by spaces"},
		{Consumes, "", "", "no REGISTRY/NAME"},
		{Consumes, "a/b,", "", "no REGISTRY/NAME"},
		{Consumes, "arn:aws:glue:eu-west-1:123456789012:schema/shop/order@1", "", "no REGISTRY/NAME"},
		{Consumes, "a/b/c@1", "", "no REGISTRY/NAME"},
		{"dhow.contract.produce", "a/b@1.0.0", "", "there is no such label"},
	} {
		list, err := Of(definition(map[string]string{c.key: c.value}))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "container 'web'") {
				t.Errorf("%s=%s: error %v, want %q", c.key, c.value, err, c.err)
			}
			continue
		}
		got := []string{}
		for _, k := range list {
			got = append(got, k.verb()+" "+k.Name()+" "+k.Declared)
		}
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s=%s: %v, %v, want %s", c.key, c.value, got, err, c.want)
		}
	}
	var many []string
	for i := range maxDeclared + 1 {
		many = append(many, fmt.Sprintf("a/b%d", i))
	}
	if _, err := Of(definition(map[string]string{Consumes: strings.Join(many, ",")})); err == nil {
		t.Error("any number of schemas is taken")
	}
}

func FuzzLabels(f *testing.F) {
	f.Add(Produces, "shop/order@1.2.0")
	f.Add(Consumes, "shop/order@^1,a@>=1 <2 || ~3,b")
	f.Add(Consumes, "@,/@/")
	f.Fuzz(func(t *testing.T, key, value string) {
		list, err := Of(definition(map[string]string{key: value}))
		if err != nil {
			return
		}
		// What is taken is written back as the same.
		var again []string
		for _, c := range list {
			item := c.Name()
			if c.Declared != "" {
				item += "@" + c.Declared
			}
			again = append(again, item)
		}
		if len(list) == 0 {
			return
		}
		back, err := Of(definition(map[string]string{key: strings.Join(again, ",")}))
		if err != nil || len(back) != len(list) {
			t.Fatalf("%q was read as %v, and that as %v, %v", value, again, back, err)
		}
	})
}
