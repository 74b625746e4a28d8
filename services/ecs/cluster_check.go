package ecs

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

var insights = []string{"enabled", "disabled", "enhanced"}

// checkSettings checks a cluster's settings; containerInsights is the only one
// there is.
func checkSettings(in []types.ClusterSetting) error {
	for _, s := range in {
		if s.Name != types.ClusterSettingNameContainerInsights {
			return invalidParam("Invalid cluster setting name: %q. It must be containerInsights.", s.Name)
		}
		if !slices.Contains(insights, deref(s.Value)) {
			return invalidParam("Invalid value of cluster setting containerInsights: %q. It must be enabled, enhanced or disabled.", deref(s.Value))
		}
	}
	return nil
}

// checkConfiguration checks a cluster's configuration. What would make a
// promise about keys that dhow does not keep is refused.
func checkConfiguration(c *types.ClusterConfiguration) error {
	if c == nil {
		return nil
	}
	if m := c.ManagedStorageConfiguration; m != nil && (deref(m.KmsKeyId) != "" || deref(m.FargateEphemeralStorageKmsKeyId) != "") {
		return unsupported("configuration.managedStorageConfiguration is not served: tasks' disks are the node's, and not encrypted by key. Leave it out.")
	}
	e := c.ExecuteCommandConfiguration
	if e == nil {
		return nil
	}
	l := e.LogConfiguration
	switch e.Logging {
	case "", types.ExecuteCommandLoggingDefault, types.ExecuteCommandLoggingNone:
		if l != nil {
			return invalidParam("LogConfiguration must not be specified unless logging is OVERRIDE.")
		}
	case types.ExecuteCommandLoggingOverride:
		if l == nil || deref(l.CloudWatchLogGroupName) == "" && deref(l.S3BucketName) == "" {
			return invalidParam("LogConfiguration must name a CloudWatch log group or an S3 bucket when logging is OVERRIDE.")
		}
	default:
		return invalidParam("Invalid logging of executeCommandConfiguration: %q. It must be NONE, DEFAULT or OVERRIDE.", e.Logging)
	}
	return nil
}

// checkNamespace refuses Service Connect's defaults: on AWS they would make a
// Cloud Map namespace.
func checkNamespace(d *types.ClusterServiceConnectDefaultsRequest) error {
	if d != nil && deref(d.Namespace) != "" {
		return unsupported("serviceConnectDefaults is not served: dhow has no Service Connect. Leave it out.")
	}
	return nil
}
