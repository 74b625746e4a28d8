package ecs

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

// accountSetting is what an account setting may be. A value that AWS takes and
// that would change nothing here is in refused, with what is so instead.
type accountSetting struct {
	standard string
	values   []string
	refused  map[string]string
}

var accountSettings = map[types.SettingName]accountSetting{
	types.SettingNameServiceLongArnFormat:           {"enabled", onOff, longARN},
	types.SettingNameTaskLongArnFormat:              {"enabled", onOff, longARN},
	types.SettingNameContainerInstanceLongArnFormat: {"enabled", onOff, longARN},
	types.SettingNameAwsvpcTrunking:                 {"disabled", onOff, nil}, // interfaces are not limited in number
	types.SettingNameContainerInsights:              {"disabled", insights, nil},
	types.SettingNameFargateFipsMode: {"disabled", onOff, map[string]string{
		"enabled": "dhow's connections are not FIPS 140 validated"}},
	types.SettingNameTagResourceAuthorization:        {"on", []string{"on", "off"}, nil},
	types.SettingNameFargateTaskRetirementWaitPeriod: {"7", []string{"0", "7", "14"}, nil}, // no task is ever retired
	types.SettingNameGuardDutyActivate: {"off", []string{"on", "off"}, map[string]string{
		"on": "it is managed by AWS, and dhow has no GuardDuty"}},
	types.SettingNameDefaultLogDriverMode: {"non-blocking", []string{"blocking", "non-blocking"}, nil}, // output never blocks a container: it goes to a file
	types.SettingNameFargateEventWindows: {"disabled", onOff, map[string]string{
		"enabled": "no task is ever retired, and so none within windows"}},
}

var (
	onOff   = []string{"enabled", "disabled"}
	longARN = map[string]string{"disabled": "ARNs are always of the long format"}
)

// settingNames in the order in which they are listed.
func settingNames() []types.SettingName {
	var names []types.SettingName
	for n := range accountSettings {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// aliases are values that AWS also takes: on and off for switches.
func settingValue(name types.SettingName, v string) (string, error) {
	s, ok := accountSettings[name]
	if !ok {
		return "", invalidParam("Invalid setting name: %q.", name)
	}
	if slices.Contains(s.values, "enabled") {
		switch v {
		case "on":
			v = "enabled"
		case "off":
			v = "disabled"
		}
	}
	if !slices.Contains(s.values, v) {
		return "", invalidParam("Invalid value %q for setting %s. It must be one of %v.", v, name, s.values)
	}
	if why, no := s.refused[v]; no {
		return "", unsupported("Setting %s can not be %s: %s.", name, v, why)
	}
	return v, nil
}

// PutAccountSetting sets an account setting for one principal, the caller if
// none is named.
func (a *API) PutAccountSetting(ctx context.Context, in *ecs.PutAccountSettingInput) (*ecs.PutAccountSettingOutput, error) {
	s, err := a.putSetting(ctx, principal(ctx, in.PrincipalArn), in.Name, deref(in.Value))
	if err != nil {
		return nil, err
	}
	return &ecs.PutAccountSettingOutput{Setting: s}, nil
}

// PutAccountSettingDefault sets an account setting for all who have not set it
// for themselves.
func (a *API) PutAccountSettingDefault(ctx context.Context, in *ecs.PutAccountSettingDefaultInput) (*ecs.PutAccountSettingDefaultOutput, error) {
	s, err := a.putSetting(ctx, "", in.Name, deref(in.Value))
	if err != nil {
		return nil, err
	}
	s.PrincipalArn = ptr(rootARN(scope(ctx)))
	return &ecs.PutAccountSettingDefaultOutput{Setting: s}, nil
}

func (a *API) putSetting(ctx context.Context, who string, name types.SettingName, value string) (*types.Setting, error) {
	value, err := settingValue(name, value)
	if err != nil {
		return nil, err
	}
	row := cluster.Setting{Scope: scope(ctx), Principal: who, Name: string(name), Value: value}
	if err := a.db.Update(ctx, func(tx *store.Tx) error { return cluster.Settings.Put(tx, row) }); err != nil {
		return nil, err
	}
	return wireSetting(name, who, value), nil
}

// DeleteAccountSetting takes back what a principal has set; the default holds
// for it again.
func (a *API) DeleteAccountSetting(ctx context.Context, in *ecs.DeleteAccountSettingInput) (*ecs.DeleteAccountSettingOutput, error) {
	if _, ok := accountSettings[in.Name]; !ok {
		return nil, invalidParam("Invalid setting name: %q.", in.Name)
	}
	who := principal(ctx, in.PrincipalArn)
	var value string
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		row := cluster.Setting{Scope: scope(ctx), Principal: who, Name: string(in.Name)}
		cluster.Settings.Delete(tx, row.Key())
		value = effective(tx, row.Scope, who, in.Name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecs.DeleteAccountSettingOutput{Setting: wireSetting(in.Name, who, value)}, nil
}

// ListAccountSettings lists what a principal has set, or what holds for it.
func (a *API) ListAccountSettings(ctx context.Context, in *ecs.ListAccountSettingsInput) (*ecs.ListAccountSettingsOutput, error) {
	if in.Name != "" {
		if _, ok := accountSettings[in.Name]; !ok {
			return nil, invalidParam("Invalid setting name: %q.", in.Name)
		}
	}
	if in.Value != nil && in.Name == "" {
		return nil, invalidParam("The setting name must be specified to filter by value.")
	}
	who := principal(ctx, in.PrincipalArn)
	out := &ecs.ListAccountSettingsOutput{Settings: []types.Setting{}}
	err := a.db.View(func(r store.Reader) error {
		var all []types.Setting
		for _, name := range settingNames() {
			row, set := cluster.Settings.Get(r, cluster.Setting{Scope: scope(ctx), Principal: who, Name: string(name)}.Key())
			value := row.Value
			if !set && in.EffectiveSettings {
				value, set = effective(r, scope(ctx), who, name), true
			}
			if !set || in.Name != "" && name != in.Name || in.Value != nil && value != *in.Value {
				continue
			}
			all = append(all, *wireSetting(name, who, value))
		}
		var most *int32
		if in.MaxResults != 0 {
			most = &in.MaxResults
		}
		var err error
		out.Settings, out.NextToken, err = page(ctx, slices.Values(all), func(s types.Setting) string { return string(s.Name) }, most, 100, in.NextToken)
		out.Settings = orEmpty(out.Settings)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// effective is the value that holds for a principal.
func effective(r store.Reader, s cluster.Scope, who string, name types.SettingName) string {
	for _, p := range []string{who, ""} {
		if row, ok := cluster.Settings.Get(r, cluster.Setting{Scope: s, Principal: p, Name: string(name)}.Key()); ok {
			return row.Value
		}
	}
	return accountSettings[name].standard
}

// settings are a new cluster's: those given, else what the caller's account
// setting says of Container Insights.
func (a *API) settings(r store.Reader, s cluster.Scope, who string, given []types.ClusterSetting) []types.ClusterSetting {
	if len(given) > 0 {
		return given
	}
	return []types.ClusterSetting{{Name: types.ClusterSettingNameContainerInsights,
		Value: ptr(effective(r, s, who, types.SettingNameContainerInsights))}}
}

func principal(ctx context.Context, arn *string) string {
	if deref(arn) != "" {
		return *arn
	}
	if p := awsapi.CallFrom(ctx).Principal; p != "" {
		return p
	}
	return rootARN(scope(ctx))
}

func rootARN(s cluster.Scope) string { return "arn:aws:iam::" + s.Account + ":root" }

func wireSetting(name types.SettingName, who, value string) *types.Setting {
	out := &types.Setting{Name: name, Value: ptr(value), PrincipalArn: optional(who), Type: types.SettingTypeUser}
	if name == types.SettingNameGuardDutyActivate {
		out.Type = types.SettingTypeAwsManaged
	}
	return out
}
