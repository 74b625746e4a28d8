package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"

	"github.com/dhowhq/dhow/internal/awsapi/model"
)

type rawModel struct {
	Metadata   rawMeta
	Operations map[string]rawOp
	Shapes     map[string]rawShape
}

type rawMeta struct {
	APIVersion         string
	EndpointPrefix     string
	JSONVersion        string
	Protocol           string
	Protocols          []string
	ServiceID          string
	ServiceFullName    string
	SigningName        string
	TargetPrefix       string
	XMLNamespace       string
	AWSQueryCompatible *struct{}
}

type rawOp struct {
	HTTP struct {
		Method       string
		RequestURI   string
		ResponseCode int
	}
	Input, Output *rawRef
	Errors        []rawRef
	Auth          []string
	AuthType      string
}

type rawRef struct {
	Shape         string
	LocationName  string
	ResultWrapper string
	XMLNamespace  xmlNS
}

type xmlNS struct{ Prefix, URI string }

type rawMember struct {
	Shape, Location, LocationName, QueryName string
	Flattened, Streaming, XMLAttribute       bool
	EventPayload, JSONValue                  bool
	XMLNamespace                             xmlNS
}

type rawShape struct {
	Type            string
	Members         members
	Member          *rawMember
	Key, Value      *rawMember
	Required        []string
	Enum            []string
	Min, Max        json.Number
	Pattern         string
	Payload         string
	TimestampFormat string
	LocationName    string
	Flattened       bool
	Sensitive       bool
	Union           bool
	EventStream     bool
	Event           bool
	Document        bool
	Streaming       bool
	Exception       bool
	Fault           bool
	Error           struct {
		Code           string
		HTTPStatusCode int
		SenderFault    bool
	}
	XMLNamespace xmlNS
}

// members keeps the order in which the model lists them.
type members struct {
	names []string
	by    map[string]rawMember
}

func (m *members) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &m.by); err != nil {
		return err
	}
	for n := range m.by {
		m.names = append(m.names, n)
	}
	sort.Strings(m.names)
	return nil
}

var kinds = map[string]model.Kind{
	"structure": model.Structure, "list": model.List, "map": model.Map, "string": model.String,
	"character": model.String, "blob": model.Blob, "boolean": model.Boolean, "byte": model.Integer,
	"short": model.Integer, "integer": model.Integer, "long": model.Long, "float": model.Float,
	"double": model.Double, "timestamp": model.Timestamp,
}

// convert drops prose and the shapes that no operation reaches, and numbers
// the rest in a stable order.
func convert(name string, raw *rawModel) (*model.Model, error) {
	c := &converter{raw: raw, number: map[string]int{}}
	m := &model.Model{Info: info(name, raw)}
	for _, op := range m.Info.Ops {
		o, err := c.op(op, raw.Operations[op])
		if err != nil {
			return nil, err
		}
		m.Ops = append(m.Ops, o)
	}
	m.Shapes = c.shapes
	return m, nil
}

func info(name string, raw *rawModel) *model.Info {
	md := raw.Metadata
	i := &model.Info{
		Name: name, ServiceID: md.ServiceID, FullName: md.ServiceFullName, SigningName: md.SigningName,
		EndpointPrefix: md.EndpointPrefix, TargetPrefix: md.TargetPrefix, Version: md.APIVersion,
		JSONVersion: md.JSONVersion, Namespace: md.XMLNamespace, Protocols: md.Protocols,
		QueryCompatible: md.AWSQueryCompatible != nil,
	}
	if i.SigningName == "" {
		i.SigningName = i.EndpointPrefix
	}
	if len(i.Protocols) == 0 {
		i.Protocols = []string{md.Protocol}
	}
	for op := range raw.Operations {
		i.Ops = append(i.Ops, op)
	}
	sort.Strings(i.Ops)
	return i
}

type converter struct {
	raw    *rawModel
	number map[string]int
	shapes []*model.Shape
}

func (c *converter) op(name string, raw rawOp) (*model.Op, error) {
	o := &model.Op{Name: name, Input: -1, Output: -1, Status: raw.HTTP.ResponseCode}
	if raw.HTTP.Method != "POST" {
		o.Method = raw.HTTP.Method
	}
	if raw.HTTP.RequestURI != "/" {
		o.URI = raw.HTTP.RequestURI
	}
	o.NoAuth = slices.Contains(raw.Auth, "smithy.api#noAuth") || raw.AuthType == "none"
	var err error
	if raw.Input != nil {
		o.Root, o.RootNS = raw.Input.LocationName, raw.Input.XMLNamespace.URI
		if o.Input, err = c.shape(raw.Input.Shape); err != nil {
			return nil, err
		}
	}
	if raw.Output != nil {
		o.Wrapper = raw.Output.ResultWrapper
		if o.Output, err = c.shape(raw.Output.Shape); err != nil {
			return nil, err
		}
	}
	for _, e := range raw.Errors {
		n, err := c.shape(e.Shape)
		if err != nil {
			return nil, err
		}
		o.Errors = append(o.Errors, n)
	}
	return o, nil
}

func (c *converter) shape(name string) (int, error) {
	if n, ok := c.number[name]; ok {
		return n, nil
	}
	raw, ok := c.raw.Shapes[name]
	if !ok {
		return 0, fmt.Errorf("shape %s is missing", name)
	}
	s := &model.Shape{
		Name: name, Min: raw.Min.String(), Max: raw.Max.String(), Pattern: raw.Pattern, Enum: raw.Enum,
		Payload: raw.Payload, TimeFmt: raw.TimestampFormat, Wire: raw.LocationName, Flattened: raw.Flattened,
		Sensitive: raw.Sensitive, Union: raw.Union, Stream: raw.EventStream, Event: raw.Event,
		Streaming: raw.Streaming, Exception: raw.Exception, Fault: raw.Fault, Status: raw.Error.HTTPStatusCode,
	}
	if raw.Error.Code != name {
		s.Code = raw.Error.Code
	}
	var known bool
	if s.Kind, known = kinds[raw.Type]; !known {
		return 0, fmt.Errorf("shape %s has the unknown type %q", name, raw.Type)
	}
	if raw.Document {
		s.Kind = model.Document
	}
	n := len(c.shapes)
	c.number[name], c.shapes = n, append(c.shapes, s)
	switch s.Kind {
	case model.List:
		return n, c.member(s, "", raw.Member, false)
	case model.Map:
		if err := c.member(s, "", raw.Key, false); err != nil {
			return 0, err
		}
		return n, c.member(s, "", raw.Value, false)
	}
	for _, name := range raw.Members.names {
		m := raw.Members.by[name]
		if err := c.member(s, name, &m, slices.Contains(raw.Required, name)); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (c *converter) member(s *model.Shape, name string, raw *rawMember, required bool) error {
	n, err := c.shape(raw.Shape)
	if err != nil {
		return err
	}
	m := model.Member{
		Name: name, Shape: n, Query: raw.QueryName, Location: raw.Location, Required: required,
		Flattened: raw.Flattened, Attribute: raw.XMLAttribute, Payload: raw.EventPayload,
		JSONValue: raw.JSONValue, Streaming: raw.Streaming, Prefix: raw.XMLNamespace.Prefix,
		Namespace: raw.XMLNamespace.URI,
	}
	if m.Namespace == "" {
		target := c.raw.Shapes[raw.Shape]
		m.Prefix, m.Namespace = target.XMLNamespace.Prefix, target.XMLNamespace.URI
	}
	if raw.LocationName != name {
		m.Wire = raw.LocationName
	}
	s.Members = append(s.Members, m)
	return nil
}
