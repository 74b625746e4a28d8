package ecs

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/scheduler"
)

// Limits of a task definition, from the ECS API reference and service quotas.
const (
	maxContainers     = 10
	maxConstraints    = 10
	maxDefinitionSize = 65536 // bytes
)

var volumeNameOK = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}$`)

// newDefinition turns a request into the definition that AWS would answer
// with: checked, defaults filled in. The input is not changed.
func newDefinition(in *ecs.RegisterTaskDefinitionInput) (d types.TaskDefinition, err error) {
	d = types.TaskDefinition{
		Family:                  in.Family,
		ContainerDefinitions:    slices.Clone(in.ContainerDefinitions),
		Volumes:                 slices.Clone(in.Volumes),
		TaskRoleArn:             given(in.TaskRoleArn),
		ExecutionRoleArn:        given(in.ExecutionRoleArn),
		NetworkMode:             in.NetworkMode,
		Cpu:                     given(in.Cpu),
		Memory:                  given(in.Memory),
		RequiresCompatibilities: in.RequiresCompatibilities,
		PlacementConstraints:    in.PlacementConstraints,
		ProxyConfiguration:      in.ProxyConfiguration,
		RuntimePlatform:         in.RuntimePlatform,
		EphemeralStorage:        in.EphemeralStorage,
		InferenceAccelerators:   in.InferenceAccelerators,
		PidMode:                 in.PidMode,
		IpcMode:                 in.IpcMode,
		EnableFaultInjection:    in.EnableFaultInjection,
		Status:                  types.TaskDefinitionStatusActive,
	}
	if err = checkTask(&d); err != nil {
		return d, err
	}
	if err = checkVolumes(d); err != nil {
		return d, err
	}
	for _, c := range d.ContainerDefinitions {
		if err = checkContainer(d, c); err != nil {
			return d, err
		}
	}
	if err = checkContainers(d); err != nil {
		return d, err
	}
	if slices.Contains(d.RequiresCompatibilities, types.CompatibilityFargate) {
		if err = checkFargate(d); err != nil {
			return d, err
		}
	}
	fillDefaults(&d)
	return d, checkSize(in)
}

// given is p unless it points to "", which AWS treats as absent.
func given(p *string) *string {
	if deref(p) == "" {
		return nil
	}
	return p
}

// checkTask checks what belongs to the task as a whole, and puts cpu and
// memory into numbers.
func checkTask(d *types.TaskDefinition) (err error) {
	switch family := deref(d.Family); {
	case family == "":
		return clientErr("Family should not be null or empty.")
	case len(family) > 255:
		return clientErr("Family should not be longer than 255 characters.")
	case !nameOK.MatchString(family):
		return clientErr("Family contains invalid characters.")
	}
	switch n := len(d.ContainerDefinitions); {
	case n == 0:
		return clientErr("Container list cannot be empty.")
	case n > maxContainers:
		return clientErr("Too many containers.")
	}
	if slices.Contains(d.RequiresCompatibilities, types.CompatibilityManagedInstances) {
		return unsupported("requiresCompatibilities MANAGED_INSTANCES is not served. Use EC2, FARGATE or EXTERNAL.")
	}
	if d.Cpu, err = sizeOf(d.Cpu, cpuUnits, 128, 196608, "cpu"); err != nil {
		return err
	}
	if d.Memory, err = sizeOf(d.Memory, memoryUnits, 4, math.MaxInt32, "memory"); err != nil {
		return err
	}
	if len(d.PlacementConstraints) > maxConstraints {
		return clientErr("Maximum number of placement constraints is %d.", maxConstraints)
	}
	for _, c := range d.PlacementConstraints {
		if c.Type != types.TaskDefinitionPlacementConstraintTypeMemberOf || deref(c.Expression) == "" {
			return clientErr("Invalid constraint: task definitions take constraints of type memberOf with an expression.")
		}
		if _, err := scheduler.ParseExpression(*c.Expression); err != nil {
			return clientErr("Invalid constraint '%s': %v.", *c.Expression, err)
		}
	}
	if len(d.InferenceAccelerators) > 0 {
		return clientErr("Unsupported field 'inferenceAccelerators'.")
	}
	if e := d.EphemeralStorage; e != nil {
		switch {
		case e.SizeInGiB < 21:
			return clientErr("EphemeralStorage size should be at least 21.")
		case e.SizeInGiB > 200:
			return clientErr("EphemeralStorage size should be at most 200.")
		}
	}
	if p := d.ProxyConfiguration; p != nil {
		if d.NetworkMode != types.NetworkModeAwsvpc {
			return clientErr("Proxy configuration is only supported when networkMode=awsvpc.")
		}
		if !slices.ContainsFunc(d.ContainerDefinitions, named(deref(p.ContainerName))) {
			return clientErr("Proxy container [%s] does not exist.", deref(p.ContainerName))
		}
	}
	for what, arn := range map[string]*string{"taskRoleArn": d.TaskRoleArn, "executionRoleArn": d.ExecutionRoleArn} {
		if arn != nil && !roleOK.MatchString(*arn) {
			return clientErr("Role is not valid: %s is neither the ARN nor the name of an IAM role (%s).", *arn, what)
		}
	}
	return nil
}

// roleOK matches an IAM role's ARN, or its name with its path.
var roleOK = regexp.MustCompile(`^(arn:aws[a-z-]*:iam::\d{12}:role/)?[\w+=,.@/-]+$`)

// named tells the container called name.
func named(name string) func(types.ContainerDefinition) bool {
	return func(c types.ContainerDefinition) bool { return deref(c.Name) == name }
}

var (
	cpuUnits    = regexp.MustCompile(`(?i)^\s*(\d+(?:\.\d+)?|\.\d+)\s*vcpus?\s*$`)
	memoryUnits = regexp.MustCompile(`(?i)^\s*(\d+(?:\.\d+)?|\.\d+)\s*gb\s*$`)
)

// sizeOf puts a task size, "1024", "1 vCPU" or "1GB", into CPU units or MiB.
func sizeOf(v *string, units *regexp.Regexp, least, most int, field string) (*string, error) {
	if v == nil {
		return nil, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(*v))
	if m := units.FindStringSubmatch(*v); m != nil {
		var f float64
		f, err = strconv.ParseFloat(m[1], 64)
		n = int(math.Round(f * 1024))
	}
	if err != nil || n < least || n > most {
		return nil, clientErr("Invalid '%s' setting for task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.", field)
	}
	return ptr(strconv.Itoa(n)), nil
}

// checkSize bounds the definition as AWS does. AWS counts its own JSON; this
// counts the request's, without its tags and members that are absent.
func checkSize(in *ecs.RegisterTaskDefinitionInput) error {
	q := *in
	q.Tags = nil
	if n := jsonSize(q); n > maxDefinitionSize {
		return clientErr("Actual length: '%d'. Max allowed length is '%d' bytes.", n, maxDefinitionSize)
	}
	return nil
}

// jsonSize is v's as JSON, in bytes, without members that are absent.
func jsonSize(v any) int {
	if b := compactJSON(v); string(b) != "null" {
		return len(b)
	}
	return 0
}

// compactJSON is v as JSON without members that are absent; nil where v holds
// numbers that JSON does not have, which no call gets away with.
func compactJSON(v any) []byte {
	b, err := json.Marshal(compact(v))
	if err != nil {
		return nil
	}
	return b
}

// compact is v as JSON would hold it, without nulls, zeros and empty lists.
func compact(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var tree any
	if json.Unmarshal(b, &tree) != nil {
		return v
	}
	return prune(tree)
}

func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if e = prune(e); e != nil {
				out[k] = e
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		if len(v) == 0 {
			return nil
		}
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = prune(e)
		}
		return out
	case string:
		if v == "" {
			return nil
		}
	case float64:
		if v == 0 {
			return nil
		}
	}
	return v
}
