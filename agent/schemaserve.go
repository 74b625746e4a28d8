package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/dhowhq/dhow/contract"
)

// schemaByID answers $DHOW_SCHEMA_URI/ids/UUID.
func (m *metadata) schemaByID(w http.ResponseWriter, r *http.Request) {
	m.schema(w, r, "/ids/"+url.PathEscape(r.PathValue("version")), true)
}

// schemaByVersion answers $DHOW_SCHEMA_URI/schemas/REGISTRY/NAME/versions/V; V is
// a version, a range, or latest.
func (m *metadata) schemaByVersion(w http.ResponseWriter, r *http.Request) {
	v := r.PathValue("version")
	_, err := contract.ParseVersion(v)
	m.schema(w, r, "/schemas/"+url.PathEscape(r.PathValue("registry"))+"/"+url.PathEscape(r.PathValue("name"))+"/versions/"+url.PathEscape(v), err == nil)
}

func (m *metadata) schema(w http.ResponseWriter, r *http.Request, path string, pinned bool) {
	t, _ := m.caller(r, r.PathValue("id"))
	if t == nil {
		notFound(w, "task")
		return
	}
	form := r.FormValue("format")
	if form != "" && form != "text" && form != "json" {
		http.Error(w, "format is text, which is the default, or json", http.StatusBadRequest)
		return
	}
	if strings.Contains(path+"/", "/./") || strings.Contains(path+"/", "/../") {
		http.Error(w, "a name of . or .. is none", http.StatusBadRequest)
		return
	}
	if len(path) > 2048 {
		http.Error(w, "the path is too long", http.StatusRequestURITooLong)
		return
	}
	good := schemaRanged
	if pinned {
		good = schemaPinned
	}
	e, stale, err := m.eng.schemas.get(r.Context(), t.schemaCaller(), path, good)
	if refused := (*schemaRefusal)(nil); errors.As(err, &refused) {
		http.Error(w, refused.text, refused.status)
		return
	}
	if err != nil {
		t.log.Info("a task asks for a schema and cannot have it", "path", path, "err", err)
		w.Header().Set("Retry-After", "1")
		http.Error(w, "the control plane does not answer and this node does not have the schema yet: ask again", http.StatusServiceUnavailable)
		return
	}
	m.writeSchema(w, r, e, stale, form == "json")
}

// schemaTypes are the media types of schemas' texts.
var schemaTypes = map[string]string{"AVRO": "application/json", "JSON": "application/schema+json", "PROTOBUF": "text/plain; charset=utf-8"}

func (m *metadata) writeSchema(w http.ResponseWriter, r *http.Request, e schemaEntry, stale, asJSON bool) {
	sum := sha256.Sum256([]byte(e.schema.Text))
	fingerprint := hex.EncodeToString(sum[:])
	tag := `"` + fingerprint + `"`
	if asJSON {
		tag = `"` + fingerprint + `-json"`
	}
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("X-Schema-Name", e.schema.Registry+"/"+e.schema.Name)
	h.Set("X-Schema-Version", e.schema.Version)
	h.Set("X-Schema-Version-Id", e.schema.ID)
	h.Set("Age", strconv.Itoa(int(max(m.eng.schemas.now().Sub(e.at), 0).Seconds())))
	if stale {
		h.Set("Warning", `111 dhow "Revalidation Failed"`)
	}
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if asJSON {
		writeMetadata(w, struct {
			Schema
			Fingerprint string // SHA-256 of the text
		}{e.schema, fingerprint})
		return
	}
	h.Set("Content-Type", schemaTypes[e.schema.Format])
	h.Set("Content-Length", strconv.Itoa(len(e.schema.Text)))
	fmt.Fprint(w, e.schema.Text)
}

// matches reports whether a tag is among those that a client has.
func matches(have, tag string) bool {
	for one := range strings.SplitSeq(have, ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		if one == tag || one == "*" {
			return true
		}
	}
	return false
}

// schemaCaller is the task as the registry sees it: its role, or, where it has
// none, whoever may do things in its account without keys of dhow's.
func (t *task) schemaCaller() schemaCaller {
	who := schemaCaller{account: t.msg.Dhow.Account, region: t.msg.Dhow.Region}
	c := t.roleNow()
	if c == nil {
		who.keys = aws.Credentials{AccessKeyID: who.account, SecretAccessKey: "dhow"}
		return who
	}
	who.role = c.RoleARN
	who.keys = aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}
	return who
}
