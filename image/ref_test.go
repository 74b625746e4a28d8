package image

import (
	"strings"
	"testing"

	"github.com/dhowhq/dhow/internal/arn"
)

func TestParseECR(t *testing.T) {
	dig := "sha256:" + strings.Repeat("a", 64)
	for _, c := range []struct{ ref, want string }{
		{"123456789012.dkr.ecr.us-east-1.amazonaws.com/app", "123456789012 us-east-1 app latest"},
		{"123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/team/app:v1.2", "123456789012 us-gov-west-1 team/app v1.2"},
		{"123456789012.dkr.ecr.eu-west-1.localhost:4566/app:v1", "123456789012 eu-west-1 app v1"},
		{"123456789012.dkr.ecr.eu-west-1.dhow.internal:4566/app:v1@" + dig, "123456789012 eu-west-1 app " + dig},
		{"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app", "123456789012 cn-north-1 app latest"},
		{"nginx:1", ""},
		{"localhost:5000/app", ""},
		{"12345678901.dkr.ecr.us-east-1.amazonaws.com/app", ""},
		{"123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.com/app", ""},
		{"123456789012.dkr.ecr.us-east-1.amazonaws.com/../app", ""},
		{"123456789012.dkr.ecr.us-east-1.amazonaws.com/app:", ""},
		{"123456789012.dkr.ecr.us-east-1.amazonaws.com/app@sha256:1", ""},
		{"123456789012.dkr.ecr.us-east-1.amazonaws.com/", ""},
	} {
		account, region, name, tag, ok := ParseECR(c.ref)
		got := strings.TrimSpace(strings.Join([]string{account, region, name, tag}, " "))
		if got != c.want || ok != (c.want != "") {
			t.Errorf("ParseECR(%q) = %q %v, want %q", c.ref, got, ok, c.want)
		}
	}
}

func TestParseRoute(t *testing.T) {
	for _, c := range []struct {
		path string
		want route
		ok   bool
	}{
		{"/v2/", route{kind: "base"}, true},
		{"/v2", route{kind: "base"}, true},
		{"/v2/a/b/tags/list", route{"tags", "a/b", ""}, true},
		{"/v2/blobs/manifests/manifests/blobs", route{"manifests", "blobs/manifests", "blobs"}, true},
		{"/v2/a/blobs/uploads/", route{"uploads", "a", ""}, true},
		{"/v2/a/blobs/uploads/x", route{"uploads", "a", "x"}, true},
		{"/v2/a/manifests/", route{"manifests", "a", ""}, false},
		{"/v2/a", route{}, false},
		{"/elsewhere", route{}, false},
	} {
		if got, ok := parseRoute(c.path); got != c.want || ok != c.ok {
			t.Errorf("parseRoute(%q) = %+v %v, want %+v %v", c.path, got, ok, c.want, c.ok)
		}
	}
}

// FuzzParseECR: what is taken apart is valid, and is the same when put
// together and taken apart again.
func FuzzParseECR(f *testing.F) {
	f.Add("123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app:v1")
	f.Add("123456789012.dkr.ecr.us-east-1.localhost:4566/app@sha256:" + strings.Repeat("a", 64))
	f.Fuzz(func(t *testing.T, ref string) {
		account, region, name, tag, ok := ParseECR(ref)
		if !ok {
			return
		}
		if !arn.IsAccount(account) || !ValidName(name) || strings.Contains(name, "..") || !ValidTag(tag) && !ValidDigest(tag) {
			t.Fatalf("%q: %q %q %q %q", ref, account, region, name, tag)
		}
		sep := ":"
		if ValidDigest(tag) {
			sep = "@"
		}
		a, r, n, g, ok := ParseECR(account + ".dkr.ecr." + region + ".amazonaws.com/" + name + sep + tag)
		if !ok || a != account || r != region || n != name || g != tag {
			t.Fatalf("%q does not come back: %q %q %q %q", ref, a, r, n, g)
		}
	})
}

// FuzzManifest: what is taken names only digests that are safe as file names.
func FuzzManifest(f *testing.F) {
	dig := "sha256:" + strings.Repeat("a", 64)
	f.Add(ociManifest, `{"schemaVersion":2,"config":{"digest":"`+dig+`"},"layers":[{"digest":"`+dig+`","size":1}],"subject":{"digest":"`+dig+`"}}`)
	f.Add("", `{"schemaVersion":2,"manifests":[{"digest":"`+dig+`"}]}`)
	f.Fuzz(func(t *testing.T, mediaType, body string) {
		m, err := parseManifest(mediaType, []byte(body))
		if err != nil {
			return
		}
		for _, d := range append(append([]string{m.Digest}, m.Blobs...), m.Images...) {
			if !ValidDigest(d) {
				t.Fatalf("%q names %q", body, d)
			}
		}
		if m.ImageSize < 0 || m.Size != int64(len(body)) {
			t.Fatalf("%q has the sizes %d, %d", body, m.ImageSize, m.Size)
		}
	})
}

// FuzzRoute: no path leads out of the names that are allowed.
func FuzzRoute(f *testing.F) {
	f.Add("/v2/a/blobs/uploads/x")
	f.Add("/v2/a/../b/manifests/x")
	f.Fuzz(func(t *testing.T, path string) {
		r, ok := parseRoute(path)
		if ok && r.kind == "" {
			t.Fatalf("%q has no kind", path)
		}
		if ok && ValidName(r.name) && strings.Contains(r.name, "..") {
			t.Fatalf("%q names %q", path, r.name)
		}
	})
}

func TestShort(t *testing.T) {
	for ref, want := range map[string]string{
		"box": "box|", "box:1": "box|:1", "shop/box:1": "shop/box|:1", "box@sha256:" + strings.Repeat("a", 64): "box|@sha256:" + strings.Repeat("a", 64),
		"ghcr.io/box": "", "localhost/box:1": "", "host:5000/box": "", "Box": "", "box:": "", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/box": "", "": "",
	} {
		got := ""
		if name, rest, ok := Short(ref); ok {
			got = name + "|" + rest
		}
		if got != want {
			t.Errorf("%q: %q, want %q", ref, got, want)
		}
	}
}
