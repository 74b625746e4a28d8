package awsapi

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// restRouter finds operations by method and path.
type restRouter struct {
	byMethod map[string][]*restRoute
}

type restRoute struct {
	op     *model.Op
	segs   []restSeg
	greedy bool // the last segment takes the rest of the path
	query  [][2]string
	score  int // of two that match, the higher one is meant

	// needs are parameters and headers that tell this operation from others
	// with the same method and URI (S3's CopyObject from its PutObject).
	needs []need
}

type need struct {
	header bool
	name   string
}

type restSeg struct {
	literal string
	label   string // "" for a literal
}

type labelValue struct{ name, value string }

// newRestRouter returns nil for services that are not REST.
func newRestRouter(m *model.Model) *restRouter {
	if !m.Info.Speaks("rest-json") && !m.Info.Speaks("rest-xml") {
		return nil
	}
	rr := &restRouter{byMethod: map[string][]*restRoute{}}
	for _, op := range m.Ops {
		method := op.Method
		if method == "" {
			method = http.MethodPost
		}
		rr.byMethod[method] = append(rr.byMethod[method], newRestRoute(op))
	}
	for _, routes := range rr.byMethod {
		distinguish(m, routes)
	}
	return rr
}

// distinguish gives routes that differ in nothing the needs of their inputs.
func distinguish(m *model.Model, routes []*restRoute) {
	groups := map[string][]*restRoute{}
	for _, rt := range routes {
		groups[rt.shape()] = append(groups[rt.shape()], rt)
	}
	for _, group := range groups {
		if len(group) == 1 {
			continue
		}
		for _, rt := range group {
			if rt.op.Input < 0 {
				continue
			}
			for _, member := range m.Shapes[rt.op.Input].Members {
				if member.Required && (member.Location == "header" || member.Location == "querystring") {
					name := member.Wire
					if name == "" {
						name = member.Name
					}
					rt.needs = append(rt.needs, need{member.Location == "header", name})
					rt.score += 5
				}
			}
		}
	}
}

// shape is the route's URI without the names of its labels.
func (rt *restRoute) shape() string {
	var b strings.Builder
	for _, s := range rt.segs {
		b.WriteString("/" + s.literal)
	}
	for _, q := range rt.query {
		b.WriteString("&" + q[0] + "=" + q[1])
	}
	return b.String()
}

func newRestRoute(op *model.Op) *restRoute {
	path, rawQuery, _ := strings.Cut(op.URI, "?")
	rt := &restRoute{op: op}
	for _, seg := range splitPath(path) {
		s := restSeg{literal: seg}
		if strings.HasPrefix(seg, "{") && strings.HasSuffix(seg, "}") {
			name := seg[1 : len(seg)-1]
			var greedy bool
			name, greedy = strings.CutSuffix(name, "+")
			rt.greedy = rt.greedy || greedy
			s = restSeg{label: name}
			rt.score++
		} else {
			rt.score += 100
		}
		rt.segs = append(rt.segs, s)
	}
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if key, value, _ := strings.Cut(pair, "="); key != "" {
			rt.query = append(rt.query, [2]string{key, value})
			rt.score += 10
		}
	}
	return rt
}

// splitPath returns a path's segments, still escaped; a slash at the end
// makes no difference.
func splitPath(path string) []string {
	path = strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// match returns the operation of r and the values of its labels, or nil.
func (rr *restRouter) match(r *http.Request) (*model.Op, []labelValue) {
	if rr == nil {
		return nil, nil
	}
	path := r.URL.EscapedPath()
	segs := splitPath(path)
	var query url.Values
	var best *restRoute
	for _, rt := range rr.byMethod[r.Method] {
		if best != nil && rt.score <= best.score || !rt.fits(segs) {
			continue
		}
		if len(rt.query)+len(rt.needs) > 0 {
			if query == nil {
				query = r.URL.Query()
			}
			if !rt.wants(query, r.Header) {
				continue
			}
		}
		best = rt
	}
	if best == nil {
		return nil, nil
	}
	labels, ok := best.labels(segs, strings.HasSuffix(path, "/"))
	if !ok {
		return nil, nil
	}
	return best.op, labels
}

func (rt *restRoute) fits(segs []string) bool {
	if len(segs) < len(rt.segs) || len(segs) > len(rt.segs) && !rt.greedy {
		return false
	}
	for i, s := range rt.segs {
		if s.label == "" && s.literal != segs[i] || s.label != "" && segs[i] == "" {
			return false
		}
	}
	return true
}

func (rt *restRoute) wants(query url.Values, h http.Header) bool {
	for _, n := range rt.needs {
		if n.header && h.Get(n.name) == "" || !n.header && !query.Has(n.name) {
			return false
		}
	}
	for _, q := range rt.query {
		if values, ok := query[q[0]]; !ok || q[1] != "" && (len(values) == 0 || values[0] != q[1]) {
			return false
		}
	}
	return true
}

func (rt *restRoute) labels(segs []string, slash bool) ([]labelValue, bool) {
	var out []labelValue
	for i, s := range rt.segs {
		if s.label == "" {
			continue
		}
		raw := segs[i]
		if rt.greedy && i == len(rt.segs)-1 {
			raw = strings.Join(segs[i:], "/")
			if slash {
				raw += "/"
			}
		}
		value, err := url.PathUnescape(raw)
		if err != nil {
			return nil, false
		}
		out = append(out, labelValue{s.label, value})
	}
	return out, true
}
