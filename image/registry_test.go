package image_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/image"
	"github.com/dhowhq/dhow/store/storetest"
)

// call makes a raw request; headers are pairs.
func call(t testing.TB, srv *httptest.Server, method, path string, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, srv.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func d(s string) string { return image.Digest([]byte(s)) }

func wantStatus(t *testing.T, res *http.Response, body string, status int, text string) {
	t.Helper()
	if res.StatusCode != status || !strings.Contains(body, text) {
		t.Errorf("%s %s: %d %s, want %d with %q", res.Request.Method, res.Request.URL, res.StatusCode, body, status, text)
	}
}

func TestChunkedUpload(t *testing.T) {
	s, srv := open(t)
	if err := s.EnsureRepository(t.Context(), home, "app"); err != nil {
		t.Fatal(err)
	}
	res, body := call(t, srv, "POST", "/v2/app/blobs/uploads/", "")
	wantStatus(t, res, body, 202, "")
	at := res.Header.Get("Location")
	res, body = call(t, srv, "PATCH", at, "hello ", "Content-Range", "0-5")
	wantStatus(t, res, body, 202, "")
	if r := res.Header.Get("Range"); r != "0-5" {
		t.Errorf("Range is %q", r)
	}
	res, body = call(t, srv, "PATCH", at, "again", "Content-Range", "0-4")
	wantStatus(t, res, body, 416, "the next byte is 6")
	res, body = call(t, srv, "PATCH", at, "world", "Content-Range", "6-9")
	wantStatus(t, res, body, 416, "Content-Length")
	res, body = call(t, srv, "GET", at, "")
	wantStatus(t, res, body, 204, "")
	res, body = call(t, srv, "PUT", at+"?digest="+d("hello world"), "world", "Content-Range", "6-10")
	wantStatus(t, res, body, 201, "")
	res, body = call(t, srv, "GET", res.Header.Get("Location"), "", "Range", "bytes=6-")
	wantStatus(t, res, body, 206, "world")
	res, _ = call(t, srv, "HEAD", "/v2/app/blobs/"+d("hello world"), "")
	if res.ContentLength != 11 || res.Header.Get("Docker-Content-Digest") != d("hello world") {
		t.Errorf("HEAD answers %v", res.Header)
	}
	res, body = call(t, srv, "GET", at, "")
	wantStatus(t, res, body, 404, "BLOB_UPLOAD_UNKNOWN")
	// Another repository does not have the blob until it is mounted there.
	if err := s.EnsureRepository(t.Context(), home, "other"); err != nil {
		t.Fatal(err)
	}
	res, body = call(t, srv, "GET", "/v2/other/blobs/"+d("hello world"), "")
	wantStatus(t, res, body, 404, "BLOB_UNKNOWN")
	res, body = call(t, srv, "POST", "/v2/other/blobs/uploads/?from=app&mount="+d("hello world"), "")
	wantStatus(t, res, body, 201, "")
	res, body = call(t, srv, "GET", "/v2/other/blobs/"+d("hello world"), "")
	wantStatus(t, res, body, 200, "hello world")
	res, body = call(t, srv, "POST", "/v2/other/blobs/uploads/?mount="+d("absent"), "")
	wantStatus(t, res, body, 202, "")
}

// TestResume: what arrived of an upload that broke off is kept, over a restart
// as well.
func TestResume(t *testing.T) {
	db, dir := storetest.Open(t), t.TempDir()
	s, err := image.Open(image.Config{Dir: dir, DB: db})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.EnsureRepository(t.Context(), home, "app"); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	id, err := s.StartUpload(home, "app")
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "PATCH /v2/app/blobs/uploads/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello ", id)
	c.(*net.TCPConn).CloseWrite()
	reply, _ := io.ReadAll(c)
	if !bytes.Contains(reply, []byte("400 Bad Request")) {
		t.Errorf("a body that breaks off is answered %q", reply)
	}
	srv.Close()
	s.Close()
	if s, err = image.Open(image.Config{Dir: dir, DB: db}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n, err := s.UploadSize(t.Context(), home, "app", id)
	if err != nil || n != 6 {
		t.Fatalf("after a restart the upload has %d bytes, %v", n, err)
	}
	if _, err := s.Append(t.Context(), home, "app", id, 6, strings.NewReader("world")); err != nil {
		t.Fatal(err)
	}
	if size, err := s.Finish(t.Context(), home, "app", id, d("hello world")); err != nil || size != 11 {
		t.Fatal(size, err)
	}
}

func TestHostile(t *testing.T) {
	s, srv := open(t)
	if err := s.EnsureRepository(t.Context(), home, "app"); err != nil {
		t.Fatal(err)
	}
	config := `{"mediaType":"application/vnd.oci.image.config.v1+json","size":1,"digest":"` + d("nothing") + `"}`
	mt := "application/vnd.oci.image.manifest.v1+json"
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/v2/..%2f..%2fetc/blobs/" + d("x"), "", 400, "NAME_INVALID"},
		{"GET", "/v2/app/blobs/sha256:..%2f..%2ftoken.key", "", 404, "UNSUPPORTED"},
		{"GET", "/v2/app/blobs/sha256:zz", "", 400, "DIGEST_INVALID"},
		{"GET", "/v2/app/blobs/sha512:" + strings.Repeat("a", 128), "", 400, "DIGEST_INVALID"},
		{"GET", "/v2/app/blobs/uploads/..%2f..%2ftoken.key", "", 404, ""},
		{"GET", "/v2/a%00b/tags/list", "", 400, "NAME_INVALID"},
		{"GET", "/v2/UPPER/tags/list", "", 400, "NAME_INVALID"},
		{"GET", "/v2/" + strings.Repeat("a", 300) + "/tags/list", "", 400, "NAME_INVALID"},
		{"GET", "/v2/nothere/tags/list", "", 404, "NAME_UNKNOWN"},
		{"POST", "/v2/nothere/blobs/uploads/", "", 404, "NAME_UNKNOWN"},
		{"GET", "/v2/app/manifests/none", "", 404, "MANIFEST_UNKNOWN"},
		{"GET", "/v2/app/manifests/a%00b", "", 404, "MANIFEST_UNKNOWN"},
		{"GET", "/v2/app/tags/list?n=-1", "", 400, "PAGINATION_NUMBER_INVALID"},
		{"POST", "/v2/app/blobs/uploads/?digest=sha256:x", "x", 400, "DIGEST_INVALID"},
		{"POST", "/v2/app/blobs/uploads/?digest=" + d("y"), "x", 400, "DIGEST_INVALID"},
		{"PUT", "/v2/app/manifests/a%2fb", "{}", 404, "UNSUPPORTED"},
		{"PUT", "/v2/app/manifests/x", "not json", 400, "MANIFEST_INVALID"},
		{"PUT", "/v2/app/manifests/x", `{"schemaVersion":1}`, 400, "schemaVersion is 1"},
		{"PUT", "/v2/app/manifests/x", `{"schemaVersion":2,"config":` + config + `}`, 404, "MANIFEST_BLOB_UNKNOWN"},
		{"PUT", "/v2/app/manifests/x", `{"schemaVersion":2,"config":{"digest":"../../x"}}`, 400, "MANIFEST_INVALID"},
		{"PUT", "/v2/app/manifests/" + d("other"), `{"schemaVersion":2,"config":` + config + `}`, 400, "DIGEST_INVALID"},
		{"PUT", "/v2/app/manifests/x", strings.Repeat(" ", image.MaxManifest+1), 413, "SIZE_INVALID"},
		{"PATCH", "/v2/app/blobs/" + d("x"), "", 405, "UNSUPPORTED"},
		{"GET", "/v2/app/strange", "", 404, "UNSUPPORTED"},
	} {
		res, body := call(t, srv, c.method, c.path, c.body, "Content-Type", mt)
		wantStatus(t, res, body, c.status, c.code)
	}
}

// TestTenants: repositories are an account's and a region's, told by the
// registry's name or by the token.
func TestTenants(t *testing.T) {
	s, srv := open(t)
	ours := cluster.Scope{Account: "123456789012", Region: "eu-west-1"}
	if err := s.EnsureRepository(t.Context(), ours, "app"); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "123456789012.dkr.ecr.eu-west-1.amazonaws.com:80", "123456789012.dkr.ecr.eu-west-1.localhost:4566", "123456789012.dkr.ecr.eu-west-1.dhow.internal"} {
		res, body := call(t, srv, "GET", "/v2/app/tags/list", "", "Host", host)
		wantStatus(t, res, body, 200, `"tags":[]`)
	}
	res, body := call(t, srv, "GET", "/v2/app/tags/list", "")
	wantStatus(t, res, body, 404, "registry with id '000000000000'")
	res, body = call(t, srv, "GET", "/v2/app/tags/list", "", "Host", "123456789012.dkr.ecr.eu-west-2.amazonaws.com")
	wantStatus(t, res, body, 404, "NAME_UNKNOWN")
	token, _ := s.Token(ours)
	r, _ := http.NewRequest("GET", srv.URL+"/v2/app/tags/list", nil)
	r.SetBasicAuth("AWS", token)
	res, body = call(t, srv, "GET", "/v2/app/tags/list", "", "Authorization", r.Header.Get("Authorization"))
	wantStatus(t, res, body, 200, "")

	served, ok := s.Resolve("123456789012.dkr.ecr.us-west-2.amazonaws.com/app:v1")
	if !ok || served.Scope.Region != "us-west-2" || served.Repository != "app" || served.Reference != "v1" || served.User != "AWS" {
		t.Errorf("Resolve: %+v %v", served, ok)
	}
	for _, ref := range []string{"999999999999.dkr.ecr.us-west-2.amazonaws.com/app:v1", "nginx:1", "public.ecr.aws/x/y:1"} {
		if _, ok := s.Resolve(ref); ok {
			t.Errorf("Resolve says that %s is served here", ref)
		}
	}
}

func TestEnforce(t *testing.T) {
	s, srv := open(t, func(c *image.Config) { c.Enforce = true })
	if err := s.EnsureRepository(t.Context(), home, "app"); err != nil {
		t.Fatal(err)
	}
	res, body := call(t, srv, "GET", "/v2/", "")
	wantStatus(t, res, body, 401, "UNAUTHORIZED")
	if !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("WWW-Authenticate is %q", res.Header.Get("WWW-Authenticate"))
	}
	auth := func(password string) string {
		r, _ := http.NewRequest("GET", "/", nil)
		r.SetBasicAuth("AWS", password)
		return r.Header.Get("Authorization")
	}
	token, _ := s.Token(home)
	res, body = call(t, srv, "GET", "/v2/app/tags/list", "", "Authorization", auth(token))
	wantStatus(t, res, body, 200, "")
	res, body = call(t, srv, "GET", "/v2/app/tags/list", "", "Authorization", auth(token[:len(token)-3]+"abc"))
	wantStatus(t, res, body, 401, "not made here")
	res, body = call(t, srv, "GET", "/v2/app/tags/list", "", "Authorization", auth(token), "Host", "123456789012.dkr.ecr.us-east-1.amazonaws.com")
	wantStatus(t, res, body, 403, "DENIED")
}

func TestReferrers(t *testing.T) {
	s, srv := open(t)
	if err := s.EnsureRepository(t.Context(), home, "app"); err != nil {
		t.Fatal(err)
	}
	for _, b := range []string{"{}", "layer"} {
		res, body := call(t, srv, "POST", "/v2/app/blobs/uploads/?digest="+d(b), b)
		wantStatus(t, res, body, 201, "")
	}
	subject := d("an image that may come later")
	for _, kind := range []string{"sig", "sbom"} {
		m := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/` + kind + `","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"` + d("{}") +
			`","size":2},"layers":[],"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + subject + `","size":9},"annotations":{"k":"` + kind + `"}}`
		res, body := call(t, srv, "PUT", "/v2/app/manifests/"+d(m), m, "Content-Type", "application/vnd.oci.image.manifest.v1+json")
		wantStatus(t, res, body, 201, "")
		if res.Header.Get("OCI-Subject") != subject {
			t.Errorf("OCI-Subject is %q", res.Header.Get("OCI-Subject"))
		}
	}
	var index struct {
		Manifests []struct {
			ArtifactType string
			Annotations  map[string]string
		}
	}
	_, body := call(t, srv, "GET", "/v2/app/referrers/"+subject, "")
	if err := json.Unmarshal([]byte(body), &index); err != nil || len(index.Manifests) != 2 {
		t.Errorf("referrers: %v %s", err, body)
	}
	res, body := call(t, srv, "GET", "/v2/app/referrers/"+subject+"?artifactType=application/sig", "")
	if err := json.Unmarshal([]byte(body), &index); err != nil || len(index.Manifests) != 1 || index.Manifests[0].Annotations["k"] != "sig" || res.Header.Get("OCI-Filters-Applied") != "artifactType" {
		t.Errorf("filtered referrers: %v %s %v", err, body, res.Header)
	}
	res, body = call(t, srv, "GET", "/v2/app/referrers/"+d("none"), "")
	wantStatus(t, res, body, 200, `"manifests":[]`)
}

func TestTagPages(t *testing.T) {
	s, srv := open(t)
	if err := s.EnsureRepository(t.Context(), home, "app"); err != nil {
		t.Fatal(err)
	}
	res, body := call(t, srv, "POST", "/v2/app/blobs/uploads/?digest="+d("{}"), "{}")
	wantStatus(t, res, body, 201, "")
	m := []byte(`{"schemaVersion":2,"config":{"digest":"` + d("{}") + `","size":2},"layers":[]}`)
	for i := range 5 {
		if _, err := s.PutManifest(t.Context(), home, "app", fmt.Sprintf("t%d", i), "application/vnd.oci.image.manifest.v1+json", m); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for at := "/v2/app/tags/list?n=2"; at != ""; {
		res, body := call(t, srv, "GET", at, "")
		var page struct{ Tags []string }
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatal(err)
		}
		got = append(got, page.Tags...)
		at, _, _ = strings.Cut(strings.TrimPrefix(res.Header.Get("Link"), "<"), ">")
	}
	if strings.Join(got, " ") != "t0 t1 t2 t3 t4" {
		t.Errorf("pages are %v", got)
	}
}

// TestConcurrentUploads: the same and different blobs come in at once.
func TestConcurrentUploads(t *testing.T) {
	s, srv := open(t)
	if err := s.EnsureRepository(t.Context(), home, "app"); err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for i := range 24 {
		work.Go(func() {
			b := strings.Repeat(fmt.Sprint(i%6), 70_000)
			res, err := http.Post(srv.URL+"/v2/app/blobs/uploads/?digest="+d(b), "", strings.NewReader(b))
			if err != nil || res.StatusCode != 201 {
				t.Errorf("upload %d: %v %v", i, res, err)
				return
			}
			res.Body.Close()
		})
	}
	work.Wait()
	for i := range 6 {
		b := strings.Repeat(fmt.Sprint(i), 70_000)
		f, _, err := s.OpenBlob(home, "app", d(b))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(f)
		f.Close()
		if string(got) != b {
			t.Errorf("blob %d has %d bytes", i, len(got))
		}
	}
}

// A manifest within its own limit may still be more than a row of the state
// holds: that is the client's fault, not ours.
func TestManifestTooLongToKeep(t *testing.T) {
	s, srv := open(t)
	if err := s.EnsureRepository(t.Context(), home, "app"); err != nil {
		t.Fatal(err)
	}
	res, body := call(t, srv, "POST", "/v2/app/blobs/uploads/?digest="+d("{}"), "{}")
	wantStatus(t, res, body, 201, "")
	one := fmt.Sprintf(`{"mediaType":"a","digest":%q,"size":2}`, d("{}"))
	head := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":` + one
	for _, manifest := range []string{
		head + `,"layers":[` + strings.TrimSuffix(strings.Repeat(one+",", 20_000), ",") + `]}`,
		head + `,"subject":` + one + `,"annotations":{"a":"` + strings.Repeat("x", 2<<20) + `"}}`,
	} {
		res, body = call(t, srv, "PUT", "/v2/app/manifests/x", manifest, "Content-Type", "application/vnd.oci.image.manifest.v1+json")
		wantStatus(t, res, body, 413, "SIZE_INVALID")
	}
}
