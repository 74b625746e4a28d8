package ecs

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

func TestTags(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("web")
	task := f.run1("web", func(in *ecs.RunTaskInput) { in.EnableECSManagedTags = true })
	must(t, f.db.Update(f.ctx, func(tx *store.Tx) error {
		return cluster.Services.Put(tx, cluster.Service{Scope: f.scope, Cluster: "default", Name: "s", Status: "ACTIVE"})
	}))
	for _, arn := range []string{
		cluster.ClusterARN(f.scope, "default"), *task.TaskArn, *task.TaskDefinitionArn, *task.ContainerInstanceArn,
		f.scope.ARN("ecs", "service/default/s"),
	} {
		list := func() map[string]string {
			t.Helper()
			out, err := f.ListTagsForResource(f.ctx, &ecs.ListTagsForResourceInput{ResourceArn: &arn})
			must(t, err)
			m := map[string]string{}
			for _, x := range out.Tags {
				m[*x.Key] = *x.Value
			}
			return m
		}
		before := len(list())
		_, err := f.TagResource(f.ctx, &ecs.TagResourceInput{ResourceArn: &arn, Tags: []types.Tag{{Key: ptr("a"), Value: ptr("1")}, {Key: ptr("b"), Value: ptr("1")}}})
		must(t, err)
		_, err = f.TagResource(f.ctx, &ecs.TagResourceInput{ResourceArn: &arn, Tags: []types.Tag{{Key: ptr("a"), Value: ptr("2")}}})
		must(t, err)
		_, err = f.UntagResource(f.ctx, &ecs.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"b", "never"}})
		must(t, err)
		if m := list(); m["a"] != "2" || len(m) != before+1 {
			t.Errorf("%s has tags %v", arn, m)
		}
		_, err = f.TagResource(f.ctx, &ecs.TagResourceInput{ResourceArn: &arn, Tags: []types.Tag{{Key: ptr(forceTag), Value: ptr("because")}}})
		if arn == f.scope.ARN("ecs", "service/default/s") {
			must(t, err)
		} else {
			refused(t, err, "InvalidParameterException", "is for services: it does nothing on other resources")
		}
	}
	var many []types.Tag
	for i := range 50 {
		many = append(many, types.Tag{Key: ptr(fmt.Sprint("k", i))})
	}
	_, err := f.TagResource(f.ctx, &ecs.TagResourceInput{ResourceArn: task.TaskArn, Tags: many})
	refused(t, err, "InvalidParameterException", "more than 50")
	for arn, want := range map[string][2]string{
		cluster.ClusterARN(f.scope, "nope"):                        {"ClusterNotFoundException", "Cluster not found."},
		cluster.TaskARN(f.scope, "default", "nope"):                {"InvalidParameterException", "stopped"},
		"arn:aws:ecs:us-east-1:000000000000:task/nope":             {"InvalidParameterException", "Long arn format"},
		"arn:aws:ecs:us-east-1:000000000000:colour/default/x":      {"InvalidParameterException", "can not be tagged"},
		"arn:aws:ecs:us-east-1:000000000000:task-definition/web:9": {"ClientException", "does not exist"},
		"nonsense": {"InvalidParameterException", "no ARN"},
	} {
		_, err := f.ListTagsForResource(f.ctx, &ecs.ListTagsForResourceInput{ResourceArn: &arn})
		refused(t, err, want[0], want[1])
	}
}

func TestValidateTags(t *testing.T) {
	long := string(make([]byte, 0))
	for range 129 {
		long += "é" // characters count, not bytes
	}
	for _, tt := range []struct {
		tags []types.Tag
		text string
	}{
		{[]types.Tag{{Key: ptr("ok key"), Value: ptr("a_b.c:d/e=f+g-h@i é")}}, ""},
		{[]types.Tag{{Key: ptr(long[:256])}}, ""},
		{[]types.Tag{{Key: &long}}, "longer than 128"},
		{[]types.Tag{{Key: ptr("k"), Value: ptr(long + long)}}, "longer than 256"},
		{[]types.Tag{{}}, "empty"},
		{[]types.Tag{{Key: ptr("AWS:x")}}, "reserved"},
		{[]types.Tag{{Key: ptr(forceTag), Value: ptr("because")}, {Key: ptr("dhow.x")}}, ""},
		{[]types.Tag{{Key: ptr("dhow:contract-forse")}}, "There is no tag dhow:contract-forse: tags that begin"},
		{[]types.Tag{{Key: ptr("Dhow:schema")}}, "There is no tag Dhow:schema"},
		{[]types.Tag{{Key: ptr("k"), Value: ptr("a*b")}}, "not allowed"},
		{[]types.Tag{{Key: ptr("k")}, {Key: ptr("k")}}, "Duplicate"},
		{make([]types.Tag, 51), "more than 50"},
	} {
		if err := validateTags(tt.tags, forceTag); tt.text != "" {
			refused(t, err, "InvalidParameterException", tt.text)
		} else if err != nil {
			t.Error(err)
		}
	}
}

func TestAccountSettings(t *testing.T) {
	f := newFixture(t)
	value := func(effective bool) string {
		t.Helper()
		out, err := f.ListAccountSettings(f.ctx, &ecs.ListAccountSettingsInput{Name: "containerInsights", EffectiveSettings: effective})
		must(t, err)
		if len(out.Settings) == 0 {
			return ""
		}
		return *out.Settings[0].Value
	}
	if value(true) != "disabled" || value(false) != "" {
		t.Errorf("at first: %s, %s", value(true), value(false))
	}
	_, err := f.PutAccountSettingDefault(f.ctx, &ecs.PutAccountSettingDefaultInput{Name: "containerInsights", Value: ptr("enhanced")})
	must(t, err)
	if value(true) != "enhanced" || value(false) != "" {
		t.Errorf("by the default: %s, %s", value(true), value(false))
	}
	f.cluster("c1")
	if s := f.describeCluster("c1", "SETTINGS").Settings; len(s) != 1 || *s[0].Value != "enhanced" {
		t.Errorf("a new cluster has %v", s)
	}
	_, err = f.PutAccountSetting(f.ctx, &ecs.PutAccountSettingInput{Name: "containerInsights", Value: ptr("enabled")})
	must(t, err)
	if value(true) != "enabled" || value(false) != "enabled" {
		t.Errorf("by the caller: %s, %s", value(true), value(false))
	}
	del, err := f.DeleteAccountSetting(f.ctx, &ecs.DeleteAccountSettingInput{Name: "containerInsights"})
	must(t, err)
	if *del.Setting.Value != "enhanced" || value(false) != "" {
		t.Errorf("after the deletion: %s, %s", *del.Setting.Value, value(false))
	}
	all, err := f.ListAccountSettings(f.ctx, &ecs.ListAccountSettingsInput{EffectiveSettings: true})
	must(t, err)
	if len(all.Settings) != len(accountSettings) {
		t.Errorf("%d settings, want %d", len(all.Settings), len(accountSettings))
	}
	_, err = f.PutAccountSetting(f.ctx, &ecs.PutAccountSettingInput{Name: "taskLongArnFormat", Value: ptr("disabled")})
	refused(t, err, "UnsupportedFeatureException", "long format")
	_, err = f.PutAccountSetting(f.ctx, &ecs.PutAccountSettingInput{Name: "colour", Value: ptr("red")})
	refused(t, err, "InvalidParameterException", "Invalid setting name")
	_, err = f.PutAccountSetting(f.ctx, &ecs.PutAccountSettingInput{Name: "awsvpcTrunking", Value: ptr("maybe")})
	refused(t, err, "InvalidParameterException", "must be one of")
}
