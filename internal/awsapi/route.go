package awsapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/dhowhq/dhow/internal/awsapi/codec"
	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// protocol is one of AWS's wire protocols.
type protocol uint8

const (
	awsJSON protocol = iota
	query
	ec2Query
	restJSON
	restXML
	cborRPC
	awsCBOR // awsJSON in CBOR, as the AWS SDK for Java speaks it with Kinesis
)

// routes find a request's service among all models, served or not.
type routes struct {
	bySigning map[string]*model.Info
	byTarget  map[string]*model.Info
	byHost    map[string]*model.Info
	queries   []*model.Info // speak query or ec2, the served ones first
	rest      []*service    // served and REST, without S3, whose paths match anything
}

func newRoutes(all []*model.Info, served map[string]*service) routes {
	rs := routes{bySigning: map[string]*model.Info{}, byTarget: map[string]*model.Info{}, byHost: map[string]*model.Info{}}
	slices.SortFunc(all, func(a, b *model.Info) int {
		if sa, sb := served[a.Name] != nil, served[b.Name] != nil; sa != sb {
			if sa {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	add := func(m map[string]*model.Info, key string, i *model.Info) {
		if _, taken := m[key]; !taken && key != "" {
			m[key] = i
		}
	}
	for _, i := range all {
		add(rs.bySigning, i.SigningName, i)
		add(rs.byTarget, i.TargetPrefix, i)
		add(rs.byHost, i.EndpointPrefix, i)
		add(rs.byHost, i.SigningName, i)
		if svc := served[i.Name]; i.Speaks("query") || i.Speaks("ec2") || svc != nil && svc.query != nil {
			rs.queries = append(rs.queries, i)
		}
		if svc := served[i.Name]; svc != nil && i.Name != "s3" && (i.Speaks("rest-json") || i.Speaks("rest-xml")) {
			rs.rest = append(rs.rest, svc)
		}
	}
	return rs
}

const rpcPrefix = "/service/"

// rpcPath takes /service/SERVICE/operation/OPERATION apart.
func rpcPath(path string) (service, op string, ok bool) {
	rest, ok := strings.CutPrefix(path, rpcPrefix)
	if !ok {
		return "", "", false
	}
	service, rest, _ = strings.Cut(rest, "/")
	op, ok = strings.CutPrefix(rest, "operation/")
	return service, op, ok && !strings.Contains(op, "/")
}

// find returns the service that r is for: by the signature's service name,
// then X-Amz-Target, Action, path and Host.
func (rs *routes) find(x *exchange) *model.Info {
	r := x.r
	if i := rs.bySigning[x.scope.service]; i != nil {
		return i
	}
	if t := header(r, "X-Amz-Target"); t != "" {
		if dot := strings.LastIndexByte(t, '.'); dot > 0 {
			if i := rs.byTarget[t[:dot]]; i != nil {
				return i
			}
		}
	}
	if service, _, ok := rpcPath(r.URL.Path); ok {
		if i := rs.byTarget[service]; i != nil {
			return i
		}
	}
	if action := x.action(); action != "" {
		version := x.params.Get("Version")
		for _, i := range rs.queries {
			if (version == "" || version == i.Version) && i.HasOp(action) {
				return i
			}
		}
	}
	for _, svc := range rs.rest {
		if l, err := svc.load(); err == nil {
			if op, _ := l.rest.match(r); op != nil {
				return svc.info
			}
		}
	}
	host, _, _ := strings.Cut(r.Host, ":")
	labels := strings.Split(host, ".")
	if len(labels) > 1 {
		if i := rs.byHost[labels[0]+"."+labels[1]]; i != nil { // api.ecr
			return i
		}
		return rs.byHost[labels[0]]
	}
	return nil
}

// Match reports whether r looks like a call of an AWS API: it is signed, or
// names an operation in X-Amz-Target, Action or its path, or a service in its
// Host. A caller that serves other things on the same port asks first for
// those whose paths it owns (/_dhow/, /v2/), then this, then routes by Host.
// It reads no body: an unsigned form POST to "/" counts as a match.
func (s *Server) Match(r *http.Request) bool {
	if credential(r).key != "" || header(r, "X-Amz-Target") != "" || header(r, "Smithy-Protocol") != "" {
		return true
	}
	if _, _, ok := rpcPath(r.URL.Path); ok {
		return true
	}
	if r.URL.Path == "/" && (r.Method == http.MethodPost && isForm(r) || strings.Contains("&"+r.URL.RawQuery, "&Action=")) {
		return true
	}
	x := &exchange{s: s, r: r}
	return s.routes.find(x) != nil
}

func isAWSCBOR(r *http.Request) bool {
	return strings.HasPrefix(header(r, "Content-Type"), "application/x-amz-cbor-1.")
}

func isForm(r *http.Request) bool {
	return strings.HasPrefix(header(r, "Content-Type"), "application/x-www-form-urlencoded")
}

// target is where a request goes.
type target struct {
	info  *model.Info
	proto protocol
	op    string
	label []labelValue // of a REST path
}

// resolve finds the service, protocol and operation of x's request. What it
// could find is in the target even where it returns an error, so that the
// error goes out in the right protocol.
func (s *Server) resolve(x *exchange) (t target, err error) {
	t.info = s.routes.find(x)
	r := x.r
	if t.info == nil {
		t.proto = guessProtocol(r)
		if x.formErr != nil {
			return t, x.formErr
		}
		return t, unknownService(x)
	}
	i := t.info
	switch wire := header(r, "X-Amz-Target"); {
	case wire != "" && i.Speaks("json"):
		t.proto = awsJSON
		if isAWSCBOR(r) {
			t.proto = awsCBOR
		}
		prefix, op, _ := cutLast(wire, '.')
		if prefix == i.TargetPrefix {
			t.op = op
		}
	case i.Speaks("smithy-rpc-v2-cbor") && (header(r, "Smithy-Protocol") != "" || strings.HasPrefix(r.URL.Path, rpcPrefix)):
		t.proto = cborRPC
		if service, op, ok := rpcPath(r.URL.Path); ok && service == i.TargetPrefix {
			t.op = op
		}
	case i.Speaks("query") || i.Speaks("ec2") || i.QueryCompatible && x.action() != "":
		t.proto = query
		if i.Speaks("ec2") {
			t.proto = ec2Query
		}
		t.op = x.action()
		if x.formErr != nil {
			return t, x.formErr
		}
	case i.Speaks("rest-json") || i.Speaks("rest-xml"):
		t.proto = restJSON
		if i.Speaks("rest-xml") {
			t.proto = restXML
		}
		if err := s.resolveREST(x, &t); err != nil {
			return t, err
		}
	}
	if !i.HasOp(t.op) {
		return t, unknownOperation(x, &t)
	}
	return t, nil
}

// resolveREST finds the operation by method and path. The model of a service
// that is not served is read too, so that the answer can name the operation.
func (s *Server) resolveREST(x *exchange, t *target) error {
	var router *restRouter
	if svc := s.services[t.info.Name]; svc != nil {
		l, err := svc.load()
		if err != nil {
			return err
		}
		router = l.rest
	} else {
		m, err := model.Load(t.info.Name)
		if err != nil {
			return err
		}
		router = newRestRouter(m)
	}
	if op, labels := router.match(x.r); op != nil {
		t.op, t.label = op.Name, labels
	}
	return nil
}

// guessProtocol is for answers to requests whose service is not known.
func guessProtocol(r *http.Request) protocol {
	switch ct := header(r, "Content-Type"); {
	case header(r, "Smithy-Protocol") == "rpc-v2-cbor":
		return cborRPC
	case header(r, "X-Amz-Target") != "" && isAWSCBOR(r):
		return awsCBOR
	case header(r, "X-Amz-Target") != "" || strings.Contains(ct, "json"):
		return awsJSON
	case isForm(r):
		return query
	}
	return restXML
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return "", s, false
}

// action is the Action parameter of the URL or, of a form, the body. It reads
// the body of forms.
func (x *exchange) action() string {
	if x.formRead {
		return x.params.Get("Action")
	}
	x.formRead = true
	form := x.r.URL.RawQuery
	if isForm(x.r) && x.s != nil && x.pooled {
		body, err := x.readBody(x.s.cfg.MaxBody)
		if err != nil {
			x.formErr = err
			return ""
		}
		if form != "" {
			form += "&"
		}
		form += string(body)
	} else if !strings.Contains(form, "Action=") {
		return ""
	}
	x.params, x.formErr = codec.ParseParams(form)
	return x.params.Get("Action")
}
