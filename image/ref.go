package image

import (
	"net"
	"regexp"
	"strings"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
)

// namePattern is the model's RepositoryName of ECR; its length is 2 to 256.
var namePattern = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)

var tagPattern = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

var regionPattern = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$`)

// ValidName reports whether name may be a repository's, by ECR's rule.
func ValidName(name string) bool {
	return len(name) >= 2 && len(name) <= 256 && namePattern.MatchString(name)
}

// ValidTag reports whether tag may name an image.
func ValidTag(tag string) bool { return tagPattern.MatchString(tag) }

// ValidDigest reports whether d is sha256: and 64 lower-case hexadecimal
// digits, the one form of digest that is kept here, as in ECR.
func ValidDigest(d string) bool {
	hex, ok := strings.CutPrefix(d, "sha256:")
	if !ok || len(hex) != 64 {
		return false
	}
	for _, c := range []byte(hex) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// ParseECR takes ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME[:TAG|@DIGEST]
// apart; .localhost and .dhow.internal may stand for .amazonaws.com, with a
// port. tag is the tag, or the digest where there is one, "latest" for
// neither. ok is false for any other reference.
func ParseECR(ref string) (account, region, name, tag string, ok bool) {
	host, rest, found := strings.Cut(ref, "/")
	if !found {
		return "", "", "", "", false
	}
	scope, ok := hostScope(host)
	if !ok {
		return "", "", "", "", false
	}
	name, tag, ok = splitName(rest)
	if !ok {
		return "", "", "", "", false
	}
	return scope.Account, scope.Region, name, tag, true
}

// Short takes a reference apart that names no registry, which is Docker Hub's then:
// NAME[:TAG][@DIGEST]. rest is what is after the name, as it is written.
func Short(ref string) (name, rest string, ok bool) {
	host, _, found := strings.Cut(ref, "/")
	if found && (strings.ContainsAny(host, ".:") || host == "localhost") {
		return "", "", false
	}
	name, _, ok = splitName(ref)
	return name, strings.TrimPrefix(ref, name), ok
}

// splitName takes NAME[:TAG][@DIGEST] apart; the digest wins.
func splitName(s string) (name, tag string, ok bool) {
	name, digest, hasDigest := strings.Cut(s, "@")
	tag = "latest"
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, tag = name[:i], name[i+1:]
	}
	if !ValidName(name) || !ValidTag(tag) {
		return "", "", false
	}
	if hasDigest {
		tag = digest
		ok = ValidDigest(digest)
	} else {
		ok = true
	}
	return name, tag, ok
}

// hostScope is the account and region that a registry's host names.
func hostScope(host string) (cluster.Scope, bool) {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, suffix := range []string{".amazonaws.com", ".amazonaws.com.cn", ".localhost", ".dhow.internal"} {
		h, ok := strings.CutSuffix(host, suffix)
		if !ok {
			continue
		}
		account, region, ok := strings.Cut(h, ".dkr.ecr.")
		if ok && arn.IsAccount(account) && regionPattern.MatchString(region) {
			return cluster.Scope{Account: account, Region: region}, true
		}
	}
	return cluster.Scope{}, false
}

// URI is the repository's address in AWS's words.
func URI(s cluster.Scope, name string) string { return Host(s) + "/" + name }

// Host is the registry's name in AWS's words.
func Host(s cluster.Scope) string {
	h := s.Account + ".dkr.ecr." + s.Region + ".amazonaws.com"
	if strings.HasPrefix(s.Region, "cn-") {
		h += ".cn"
	}
	return h
}
