package awsapi

import (
	"net/http"
	"strings"
)

// scope is what a request's credential says: not yet that it is genuine.
type scope struct {
	key, region, service string
}

// credential reads the Authorization header or, of presigned URLs, the
// X-Amz-Credential parameter; the zero scope where there is neither.
func credential(r *http.Request) scope {
	auth := header(r, "Authorization")
	if strings.HasPrefix(auth, "AWS4-") {
		if _, rest, ok := strings.Cut(auth, "Credential="); ok {
			c, _, _ := strings.Cut(rest, ",")
			return parseScope(strings.TrimSpace(c), r)
		}
	}
	if strings.Contains(r.URL.RawQuery, "X-Amz-Credential=") {
		return parseScope(r.URL.Query().Get("X-Amz-Credential"), r)
	}
	return scope{}
}

// parseScope takes KEY/DATE/REGION/SERVICE/aws4_request apart; SigV4A's scope
// has no region, but a header for it.
func parseScope(s string, r *http.Request) scope {
	key, rest, _ := strings.Cut(s, "/")
	_, rest, _ = strings.Cut(rest, "/")
	rest, ok := strings.CutSuffix(rest, "/aws4_request")
	if !ok {
		return scope{key: key}
	}
	region, service, ok := strings.Cut(rest, "/")
	if !ok {
		region, service = "", region
		if set := header(r, "X-Amz-Region-Set"); set != "" && !strings.ContainsAny(set, ",*") {
			region = set
		}
	}
	if !isRegion(region) {
		region = ""
	}
	return scope{key: key, region: region, service: service}
}

// isRegion reports whether s may be a region's name: it becomes part of keys
// and ARNs, so it is short and plain.
func isRegion(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
