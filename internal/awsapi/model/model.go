// Package model holds what the AWS service models say about the wire and the
// Go SDK's types do not: wire names, HTTP bindings, timestamp formats, error
// codes, and the constraints on members.
//
// The tables are embedded, one compressed file per service, and read when a
// service is first called. tools/modelgen writes them.
package model

import "slices"

// Kind is what a shape is on the wire.
type Kind uint8

// The kinds of shapes. A union is a Structure with the Union flag.
const (
	Structure Kind = iota
	List
	Map
	String
	Blob
	Boolean
	Integer // 32 bits and less
	Long
	Float
	Double
	Timestamp
	Document
)

var kindNames = [...]string{"Structure", "List", "Map", "String", "Blob", "Boolean", "Integer", "Long", "Float", "Double", "Timestamp", "Document"}

// String names the kind in the words of AWS's serialization errors.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "Unknown"
}

// Info is the part of a model that routing needs; it is small and read for
// all services at once.
type Info struct {
	Name            string   `json:"name"` // the model's file name: "ecs", "elbv2"
	ServiceID       string   `json:"id"`
	FullName        string   `json:"full,omitempty"`
	SigningName     string   `json:"sign"` // the credential scope's service
	EndpointPrefix  string   `json:"host"` // the first label of the public endpoint
	TargetPrefix    string   `json:"target,omitempty"`
	Version         string   `json:"version"`
	JSONVersion     string   `json:"json,omitempty"`
	Namespace       string   `json:"ns,omitempty"` // XML namespace of replies
	Protocols       []string `json:"protocols"`    // the preferred one first, in the models' words
	QueryCompatible bool     `json:"qc,omitempty"` // errors carry x-amzn-query-error
	Ops             []string `json:"ops"`          // sorted
}

// Speaks reports whether the service is modelled with protocol p ("json",
// "query", "ec2", "rest-json", "rest-xml", "smithy-rpc-v2-cbor").
func (i *Info) Speaks(p string) bool {
	for _, q := range i.Protocols {
		if p == q {
			return true
		}
	}
	return false
}

// Model is one service's table.
type Model struct {
	Info   *Info    `json:"-"`
	Ops    []*Op    `json:"ops"`
	Shapes []*Shape `json:"shapes"`

	ops        map[string]*Op
	exceptions map[string]*Shape
}

// Op returns the operation of that name, or nil.
func (m *Model) Op(name string) *Op { return m.ops[name] }

// Exception returns the error shape of that name, or the first whose wire
// code it is; nil when there is none.
func (m *Model) Exception(name string) *Shape { return m.exceptions[name] }

// Op is an operation. Input, Output and Errors are indexes into the model's
// shapes; -1 stands for none.
type Op struct {
	Name    string `json:"n"`
	Input   int    `json:"i"`
	Output  int    `json:"o"`
	Errors  []int  `json:"e,omitempty"`
	Method  string `json:"m,omitempty"` // "" is POST
	URI     string `json:"u,omitempty"` // "" is "/"
	Status  int    `json:"s,omitempty"` // 0 is 200
	Wrapper string `json:"w,omitempty"` // query: the element around the result
	Root    string `json:"r,omitempty"` // restXml: the root element of the request
	RootNS  string `json:"x,omitempty"` // its namespace
	NoAuth  bool   `json:"a,omitempty"` // callers need no credentials
}

// Shape is a type of the model.
type Shape struct {
	Name    string   `json:"n"`
	Kind    Kind     `json:"k,omitempty"`
	Members []Member `json:"m,omitempty"` // a List has one, a Map its key and its value

	Min     string   `json:"lo,omitempty"` // of the value or the length, decimal
	Max     string   `json:"hi,omitempty"`
	Pattern string   `json:"p,omitempty"`
	Enum    []string `json:"en,omitempty"`

	Payload   string `json:"pl,omitempty"` // the member that is the whole HTTP body
	TimeFmt   string `json:"tf,omitempty"` // iso8601, rfc822 or unixTimestamp
	Wire      string `json:"w,omitempty"`  // locationName
	Flattened bool   `json:"f,omitempty"`
	Sensitive bool   `json:"sv,omitempty"`
	Union     bool   `json:"un,omitempty"`
	Stream    bool   `json:"es,omitempty"` // an event stream
	Event     bool   `json:"ev,omitempty"`
	Streaming bool   `json:"st,omitempty"` // a blob that is not to be buffered

	Exception bool   `json:"ex,omitempty"`
	Fault     bool   `json:"fa,omitempty"` // the server's fault
	Code      string `json:"c,omitempty"`  // code on the wire where it is not Name
	Status    int    `json:"hs,omitempty"`
}

// Member is a member of a structure, list or map.
type Member struct {
	Name      string `json:"n,omitempty"`
	Shape     int    `json:"s"`
	Wire      string `json:"w,omitempty"` // locationName
	Query     string `json:"q,omitempty"` // ec2's queryName
	Location  string `json:"l,omitempty"` // uri, querystring, header, headers, statusCode
	Required  bool   `json:"r,omitempty"`
	Flattened bool   `json:"f,omitempty"`
	Attribute bool   `json:"a,omitempty"` // an XML attribute
	Payload   bool   `json:"p,omitempty"` // an event's payload
	JSONValue bool   `json:"j,omitempty"`
	Streaming bool   `json:"st,omitempty"`
	Prefix    string `json:"xp,omitempty"` // XML namespace
	Namespace string `json:"xn,omitempty"`
}

// HasOp reports whether the service has the operation of that name.
func (i *Info) HasOp(name string) bool {
	_, ok := slices.BinarySearch(i.Ops, name)
	return ok
}
