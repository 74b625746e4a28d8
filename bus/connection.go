package bus

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Connection is how API destinations are authorized. It holds secrets, which no
// face shows.
type Connection struct {
	cluster.Scope
	Name         string
	ID           string // the last part of the ARN
	SecretID     string // the last part of SecretARN
	Description  string
	Type         types.ConnectionAuthorizationType
	Auth         types.CreateConnectionAuthRequestParameters
	State        types.ConnectionState // by the engine: from AUTHORIZING on
	Reason       string
	Version      int // counts changes of what authorizes
	CreatedAt    time.Time
	ModifiedAt   time.Time
	AuthorizedAt time.Time
}

// Key is the row's key.
func (c Connection) Key() string { return c.Scope.Key(c.Name) }

// ARN names the connection.
func (c Connection) ARN() string { return c.Scope.ARN("events", "connection/"+c.Name+"/"+c.ID) }

// SecretARN names the secret that AWS would keep what authorizes in.
func (c Connection) SecretARN() string {
	return c.Scope.ARN("secretsmanager", "secret:events!connection/"+c.Name+"/"+c.SecretID)
}

// Connections is the table of connections.
var Connections = store.NewTable("bus.connections", Connection.Key)

// Destination is an API destination: an HTTP endpoint.
type Destination struct {
	cluster.Scope
	Name          string
	ID            string // the last part of the ARN
	Description   string
	ConnectionARN string
	Endpoint      string // with * for path parameters
	Method        types.ApiDestinationHttpMethod
	Rate          int32 // invocations in a second
	CreatedAt     time.Time
	ModifiedAt    time.Time
}

// DefaultRate is Destination.Rate where nothing is said.
const DefaultRate = 300

// Key is the row's key.
func (d Destination) Key() string { return d.Scope.Key(d.Name) }

// ARN names the destination.
func (d Destination) ARN() string {
	return d.Scope.ARN("events", "api-destination/"+d.Name+"/"+d.ID)
}

// Destinations is the table of API destinations, with the index "connection" of
// its ARN.
var Destinations = store.NewTable("bus.destinations", Destination.Key,
	store.Index[Destination]{Name: "connection", Values: func(d Destination) []string { return []string{d.ConnectionARN} }})

// Active reports whether d's connection is authorized.
func (d Destination) Active(r store.Reader) bool {
	c, ok := FindConnection(r, d.ConnectionARN)
	return ok && c.State == types.ConnectionStateAuthorized
}

// FindConnection returns a connection by its ARN.
func FindConnection(r store.Reader, s string) (Connection, bool) {
	scope, rest, ok := resource(s, "connection")
	if !ok {
		return Connection{}, false
	}
	name, id, _ := strings.Cut(rest, "/")
	c, ok := Connections.Get(r, scope.Key(name))
	return c, ok && c.ID == id
}

// FindDestination returns an API destination by its ARN.
func FindDestination(r store.Reader, s string) (Destination, bool) {
	scope, rest, ok := resource(s, "api-destination")
	if !ok {
		return Destination{}, false
	}
	name, id, _ := strings.Cut(rest, "/")
	d, ok := Destinations.Get(r, scope.Key(name))
	return d, ok && d.ID == id
}
