package containerd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"google.golang.org/grpc/status"

	"github.com/dhowhq/dhow/driver"
)

// textError is a sentence for users that wraps a sentinel for callers.
type textError struct {
	kind error
	text string
}

func (e *textError) Error() string { return e.text }
func (e *textError) Unwrap() error { return e.kind }

func imageError(kind error, text string) error { return &textError{kind, text} }

func commandError(text string) error { return &textError{driver.ErrCommand, text} }

// pullError tells apart what callers treat differently. The text stays
// containerd's, which is also what ECS shows after CannotPullContainerError.
func pullError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var status remoteerrors.ErrUnexpectedStatus
	var netErr net.Error
	var urlErr *url.Error
	switch {
	case errdefs.IsNotFound(err) && strings.Contains(err.Error(), "no match for platform in manifest"):
		return imageError(driver.ErrImageNotFound, fmt.Sprintf("image manifest does not contain descriptor matching platform '%s'", platforms.DefaultString()))
	case errdefs.IsNotFound(err):
		return imageError(driver.ErrImageNotFound, err.Error())
	case errors.Is(err, docker.ErrInvalidAuthorization):
		return imageError(driver.ErrAuth, err.Error())
	case errors.As(err, &status):
		switch {
		case status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden:
			return imageError(driver.ErrAuth, err.Error())
		case status.StatusCode >= 500 || status.StatusCode == http.StatusTooManyRequests:
			return imageError(driver.ErrUnreachable, err.Error())
		}
	case errors.As(err, &netErr), errors.As(err, &urlErr):
		return imageError(driver.ErrUnreachable, err.Error())
	}
	return err
}

// startError takes the layers of containerd, shim and runc off an error of
// creating or starting a task, and finds out whose fault it is. Docker shows
// the same sentences.
func startError(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if s, ok := status.FromError(err); ok {
		text = s.Message()
	}
	for _, cut := range []string{"failed to create shim task: ", "OCI runtime create failed: ", "OCI runtime start failed: ", "runc create failed: ", "runc start failed: ", "unable to start container process: "} {
		if _, after, ok := strings.Cut(text, cut); ok {
			text = after
		}
	}
	text = strings.TrimSuffix(strings.TrimSuffix(text, ": unknown"), ": not found")
	text = strings.TrimPrefix(text, "error during container init: ")
	if specAtFault(text) {
		return commandError(text)
	}
	return errors.New(text)
}

// specAtFault recognises runc's errors that come from the command, working
// directory or mounts of a spec, not from the machine.
func specAtFault(text string) bool {
	about := strings.HasPrefix(text, "exec: ") || strings.HasPrefix(text, "exec /") ||
		strings.HasPrefix(text, "mkdir ") || strings.HasPrefix(text, "chdir to cwd") ||
		strings.HasPrefix(text, "error mounting ")
	if !about {
		return false
	}
	for _, fault := range []string{
		"executable file not found in $PATH", "no such file or directory", "permission denied", "exec format error",
		"is a directory", "not a directory", "invalid argument", "file exists", "read-only file system",
	} {
		if strings.Contains(text, fault) {
			return true
		}
	}
	return false
}
