package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"syscall"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// etcdLog returns a logger for etcd that hands errors to log. Where etcd means
// to end the process, at fatal errors and panics that it logs, the calling
// goroutine ends instead and failed gets the reason.
func etcdLog(log *slog.Logger, failed chan<- error) *zap.Logger {
	h := lastWords{failed}
	return zap.New(slogCore{log: log}, zap.WithFatalHook(h), zap.WithPanicHook(h))
}

// slogCore is a zap core over slog: errors and worse pass.
type slogCore struct {
	log    *slog.Logger
	fields []zapcore.Field
}

func (c slogCore) Enabled(l zapcore.Level) bool { return l >= zapcore.ErrorLevel }

func (c slogCore) With(f []zapcore.Field) zapcore.Core {
	return slogCore{c.log, append(c.fields[:len(c.fields):len(c.fields)], f...)}
}

func (c slogCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// harmless are errors that etcd meets in the first moments of a new directory,
// and overcomes.
var harmless = map[string]bool{"failed to update storage version": true}

func (c slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelError
	if harmless[e.Message] {
		level = slog.LevelDebug
	}
	c.log.Log(context.Background(), level, "etcd: "+e.Message, values(append(c.fields[:len(c.fields):len(c.fields)], fields...))...)
	return nil
}

func (c slogCore) Sync() error { return nil }

// values turns fields into slog's pairs.
func values(fields []zapcore.Field) (pairs []any) {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	for k, v := range enc.Fields {
		pairs = append(pairs, k, v)
	}
	return pairs
}

// lastWords reports a fatal error and ends the goroutine that met it.
type lastWords struct{ failed chan<- error }

func (h lastWords) OnWrite(ce *zapcore.CheckedEntry, fields []zapcore.Field) {
	err := errors.New("etcd: " + ce.Message)
	for _, f := range fields {
		if cause, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			err = fmt.Errorf("etcd: %s: %w", ce.Message, cause)
			if errors.Is(cause, syscall.ENOSPC) || strings.Contains(cause.Error(), syscall.ENOSPC.Error()) {
				err = fmt.Errorf("%w: %w", ErrFull, err)
			}
		}
	}
	select {
	case h.failed <- err:
	default: // the first reason counts
	}
	runtime.Goexit()
}
