package image

import (
	"encoding/json"
	"errors"
	"net/http"
)

// protocolError is an error in the protocol's words.
type protocolError struct {
	status  int
	code    string
	message string
}

func (e *protocolError) Error() string { return e.code + ": " + e.message }

// wireError says err in the protocol's words; what is no fault of the client's
// is a 500 that tells nothing.
func wireError(err error) *protocolError {
	var p *protocolError
	if errors.As(err, &p) {
		return p
	}
	var missing *MissingError
	if errors.As(err, &missing) {
		if len(missing.Blobs) > 0 {
			return &protocolError{404, "MANIFEST_BLOB_UNKNOWN", err.Error()}
		}
		return &protocolError{404, "MANIFEST_UNKNOWN", err.Error()}
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &protocolError{413, "SIZE_INVALID", "the body is too large"}
	}
	for _, c := range []struct {
		is     error
		status int
		code   string
	}{
		{ErrNoRepository, 404, "NAME_UNKNOWN"},
		{ErrName, 400, "NAME_INVALID"},
		{ErrNoManifest, 404, "MANIFEST_UNKNOWN"},
		{ErrNoBlob, 404, "BLOB_UNKNOWN"},
		{ErrNoUpload, 404, "BLOB_UPLOAD_UNKNOWN"},
		{ErrImmutable, 400, "TAG_INVALID"},
		{ErrDigest, 400, "DIGEST_INVALID"},
		{ErrManifest, 400, "MANIFEST_INVALID"},
		{ErrReferenced, 409, "DENIED"},
		{ErrTooLarge, 413, "SIZE_INVALID"},
		{ErrRange, 416, "BLOB_UPLOAD_INVALID"},
		{errBody, 400, "BLOB_UPLOAD_INVALID"},
	} {
		if errors.Is(err, c.is) {
			return &protocolError{c.status, c.code, err.Error()}
		}
	}
	return &protocolError{500, "UNKNOWN", "internal error; the platform's log says more"}
}

func (e *protocolError) write(w http.ResponseWriter, r *http.Request) {
	type entry struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="`+basicRealm+`",service="ecr.amazonaws.com"`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	if r.Method != http.MethodHead {
		json.NewEncoder(w).Encode(map[string][]entry{"errors": {{e.code, e.message}}})
	}
}

const basicRealm = "dhow"
