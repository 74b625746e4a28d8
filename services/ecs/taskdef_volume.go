package ecs

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func checkVolumes(d types.TaskDefinition) error {
	seen := map[string]bool{}
	for _, v := range d.Volumes {
		name := deref(v.Name)
		switch {
		case name == "":
			return clientErr("volume.name should not be null or empty.")
		case !volumeNameOK.MatchString(name):
			return clientErr("volume.name contains invalid characters.")
		case seen[name]:
			return clientErr("Volume names must be unique within a task definition. '%s' is used more than once.", name)
		}
		seen[name] = true
		if err := checkVolume(v); err != nil {
			return err
		}
		mounts := func(c types.ContainerDefinition) bool {
			return slices.ContainsFunc(c.MountPoints, func(m types.MountPoint) bool { return deref(m.SourceVolume) == name })
		}
		if deref(v.ConfiguredAtLaunch) && !slices.ContainsFunc(d.ContainerDefinitions, mounts) {
			return clientErr("Volumes [%s] are not referenced by any of the containers.", name)
		}
	}
	return nil
}

func checkVolume(v types.Volume) error {
	kinds := 0
	for _, set := range []bool{v.Host != nil, v.DockerVolumeConfiguration != nil, v.EfsVolumeConfiguration != nil,
		v.FsxWindowsFileServerVolumeConfiguration != nil, v.S3filesVolumeConfiguration != nil, deref(v.ConfiguredAtLaunch)} {
		if set {
			kinds++
		}
	}
	if kinds > 1 {
		return clientErr("Volume '%s' has more than one configuration. Specify at most one of host, dockerVolumeConfiguration, efsVolumeConfiguration, fsxWindowsFileServerVolumeConfiguration, s3filesVolumeConfiguration and configuredAtLaunch.", deref(v.Name))
	}
	if v.Host != nil && v.Host.SourcePath != nil {
		switch p := *v.Host.SourcePath; {
		case p == "":
			return clientErr("host.sourcePath should not be blank.")
		case !strings.HasPrefix(p, "/") || strings.ContainsRune(p, 0):
			return clientErr("host.sourcePath of volume '%s' must be an absolute path, but was '%s'.", deref(v.Name), p)
		}
	}
	if c := v.DockerVolumeConfiguration; c != nil {
		switch {
		case c.Scope != types.ScopeShared && c.Autoprovision != nil && *c.Autoprovision:
			return clientErr("Autoprovision is only supported for docker volumes of scope shared: volume '%s'.", deref(v.Name))
		case strings.ContainsAny(deref(c.Driver), " /\x00"):
			return clientErr("dockerVolumeConfiguration.driver of volume '%s' contains invalid characters.", deref(v.Name))
		}
	}
	if c := v.EfsVolumeConfiguration; c != nil {
		if deref(c.FileSystemId) == "" {
			return clientErr("efsVolumeConfiguration.fileSystemId of volume '%s' should not be null or empty.", deref(v.Name))
		}
		encrypted := c.TransitEncryption == types.EFSTransitEncryptionEnabled
		if a := c.AuthorizationConfig; a != nil && !encrypted &&
			(a.Iam == types.EFSAuthorizationConfigIAMEnabled || deref(a.AccessPointId) != "") {
			return clientErr("Volume '%s' must have transit encryption enabled to use an access point or IAM authorization.", deref(v.Name))
		}
		if c.TransitEncryptionPort != nil && !encrypted {
			return clientErr("Volume '%s' must have transit encryption enabled to use a transit encryption port.", deref(v.Name))
		}
	}
	return nil
}

func checkMounts(d types.TaskDefinition, c types.ContainerDefinition) error {
	at := map[string]bool{}
	for _, m := range c.MountPoints {
		volume, path := deref(m.SourceVolume), deref(m.ContainerPath)
		known := func(v types.Volume) bool { return deref(v.Name) == volume }
		switch {
		case !slices.ContainsFunc(d.Volumes, known):
			return clientErr("Unknown volume '%s'.", volume)
		case path == "":
			return clientErr("Invalid 'mountPoints' setting for container '%s'. containerPath should not be null or empty.", deref(c.Name))
		case !strings.HasPrefix(path, "/") || strings.ContainsAny(path, ":\x00"):
			return clientErr("Invalid 'mountPoints' setting for container '%s'. containerPath '%s' must be an absolute path without colons.", deref(c.Name), path)
		case at[path]:
			return clientErr("Invalid 'mountPoints' setting for container '%s'. containerPath '%s' is used more than once.", deref(c.Name), path)
		}
		at[path] = true
	}
	for _, v := range c.VolumesFrom {
		if !slices.ContainsFunc(d.ContainerDefinitions, named(deref(v.SourceContainer))) {
			return clientErr("Invalid 'volumesFrom' setting. Unknown container: '%s'", deref(v.SourceContainer))
		}
	}
	return nil
}
