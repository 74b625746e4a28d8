package cluster

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/store"
)

// Cluster is a namespace of tasks, services and container instances. Its
// handlers are its only writer.
type Cluster struct {
	Scope
	Name                   string
	Status                 string // ACTIVE, DEPROVISIONING while it is deleted, INACTIVE
	Settings               []types.ClusterSetting
	Configuration          *types.ClusterConfiguration
	CapacityProviders      []string
	DefaultStrategy        []types.CapacityProviderStrategyItem
	ServiceConnectDefaults *types.ClusterServiceConnectDefaults
	Tags                   []types.Tag
	CreatedAt              time.Time
	DeletedAt              *time.Time // of an INACTIVE one; Sweep forgets it an hour later
}

// Clusters is keyed ACCOUNT/REGION/NAME.
var Clusters = store.NewTable("cluster.clusters", Cluster.Key)

// Key is the row's key.
func (c Cluster) Key() string { return c.Scope.Key(c.Name) }

// ARN is the cluster's name in the API.
func (c Cluster) ARN() string { return ClusterARN(c.Scope, c.Name) }

// ClusterARN is the ARN of the cluster called name.
func ClusterARN(s Scope, name string) string { return s.ARN("ecs", "cluster/"+name) }
