package events

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

func noArchive(name string) error { return notFound("Archive %s does not exist.", name) }

func refuseArchiveKey(key *string) error {
	if deref(key) != "" {
		return invalid("Parameter KmsKeyIdentifier is not valid. Reason: archives are not encrypted with keys of callers here. Leave it out.")
	}
	return nil
}

// CreateArchive makes an archive of a bus's events.
func (a *API) CreateArchive(ctx context.Context, in *eventbridge.CreateArchiveInput) (*eventbridge.CreateArchiveOutput, error) {
	if err := refuseArchiveKey(in.KmsKeyIdentifier); err != nil {
		return nil, err
	}
	if deref(in.EventPattern) != "" {
		if err := checkPattern(*in.EventPattern); err != nil {
			return nil, err
		}
	}
	row := bus.Archive{Scope: scope(ctx), Name: *in.ArchiveName, ID: newID(), Description: deref(in.Description), Pattern: deref(in.EventPattern),
		Days: deref(in.RetentionDays), CreatedAt: time.Now().UTC()}
	err := a.update(ctx, func(tx *store.Tx) error {
		b, err := sourceBus(ctx, tx, *in.EventSourceArn)
		if err != nil {
			return err
		}
		row.Bus = b.Name
		if _, ok := bus.Archives.Get(tx, row.Key()); ok {
			return exists("Archive %s already exists.", row.Name)
		}
		return bus.Archives.Put(tx, row)
	})
	if err != nil {
		return nil, err
	}
	return &eventbridge.CreateArchiveOutput{ArchiveArn: ptr(row.ARN()), CreationTime: &row.CreatedAt, State: types.ArchiveStateEnabled}, nil
}

// sourceBus is the bus of the caller's that an ARN names.
func sourceBus(ctx context.Context, r store.Reader, arn string) (bus.Bus, error) {
	if _, _, ok := bus.ParseBusARN(arn); !ok {
		return bus.Bus{}, invalid("Parameter EventSourceArn is not valid. Reason: it must be the ARN of an event bus.")
	}
	return findBus(ctx, r, &arn)
}

// UpdateArchive changes what is given; events that are archived already stay.
func (a *API) UpdateArchive(ctx context.Context, in *eventbridge.UpdateArchiveInput) (*eventbridge.UpdateArchiveOutput, error) {
	if in.EventPattern == nil && in.RetentionDays == nil && in.Description == nil {
		return nil, invalid("At least one of EventPattern, RetentionDays or Description must be provided.")
	}
	if err := refuseArchiveKey(in.KmsKeyIdentifier); err != nil {
		return nil, err
	}
	if deref(in.EventPattern) != "" {
		if err := checkPattern(*in.EventPattern); err != nil {
			return nil, err
		}
	}
	var row bus.Archive
	err := a.update(ctx, func(tx *store.Tx) error {
		var ok bool
		if row, ok = bus.Archives.Get(tx, scope(ctx).Key(*in.ArchiveName)); !ok {
			return noArchive(*in.ArchiveName)
		}
		if in.EventPattern != nil {
			row.Pattern = *in.EventPattern
		}
		if in.RetentionDays != nil {
			row.Days = *in.RetentionDays
		}
		if in.Description != nil {
			row.Description = *in.Description
		}
		return bus.Archives.Put(tx, row)
	})
	if err != nil {
		return nil, err
	}
	return &eventbridge.UpdateArchiveOutput{ArchiveArn: ptr(row.ARN()), CreationTime: &row.CreatedAt, State: types.ArchiveStateEnabled}, nil
}

// DeleteArchive removes an archive with its events.
func (a *API) DeleteArchive(ctx context.Context, in *eventbridge.DeleteArchiveInput) (*eventbridge.DeleteArchiveOutput, error) {
	var row bus.Archive
	err := a.update(ctx, func(tx *store.Tx) error {
		var ok bool
		if row, ok = bus.Archives.Get(tx, scope(ctx).Key(*in.ArchiveName)); !ok {
			return noArchive(*in.ArchiveName)
		}
		bus.Archives.Delete(tx, row.Key())
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := a.engine.DropArchive(ctx, row); err != nil {
		a.log.Warn("the events of a deleted archive are not dropped yet", "archive", row.ARN(), "err", err)
	}
	return &eventbridge.DeleteArchiveOutput{}, nil
}

// DescribeArchive shows an archive.
func (a *API) DescribeArchive(ctx context.Context, in *eventbridge.DescribeArchiveInput) (*eventbridge.DescribeArchiveOutput, error) {
	var row bus.Archive
	var ok bool
	a.db.View(func(r store.Reader) error {
		row, ok = bus.Archives.Get(r, scope(ctx).Key(*in.ArchiveName))
		return nil
	})
	if !ok {
		return nil, noArchive(*in.ArchiveName)
	}
	w, err := a.wireArchive(ctx, row)
	if err != nil {
		return nil, err
	}
	return &eventbridge.DescribeArchiveOutput{ArchiveArn: ptr(row.ARN()), ArchiveName: w.ArchiveName, CreationTime: w.CreationTime, Description: given(row.Description),
		EventCount: w.EventCount, EventPattern: given(row.Pattern), EventSourceArn: w.EventSourceArn, RetentionDays: w.RetentionDays, SizeBytes: w.SizeBytes, State: w.State}, nil
}

func (a *API) wireArchive(ctx context.Context, row bus.Archive) (types.Archive, error) {
	size, err := a.engine.SizeOf(ctx, row)
	if err != nil {
		return types.Archive{}, err
	}
	return types.Archive{ArchiveName: &row.Name, CreationTime: &row.CreatedAt, EventCount: size.Events, SizeBytes: size.Bytes,
		EventSourceArn: ptr(bus.Bus{Scope: row.Scope, Name: row.Bus}.ARN()), RetentionDays: &row.Days, State: types.ArchiveStateEnabled}, nil
}

// ListArchives lists archives by name.
func (a *API) ListArchives(ctx context.Context, in *eventbridge.ListArchivesInput) (*eventbridge.ListArchivesOutput, error) {
	var rows []bus.Archive
	err := a.db.View(func(r store.Reader) error {
		source := ""
		if in.EventSourceArn != nil {
			b, err := sourceBus(ctx, r, *in.EventSourceArn)
			if err != nil {
				return err
			}
			source = b.Name
		}
		for row := range bus.Archives.List(r, scope(ctx).Prefix()+deref(in.NamePrefix)) {
			if source == "" || row.Bus == source {
				rows = append(rows, row)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if in.State != "" && in.State != types.ArchiveStateEnabled {
		rows = nil // they are never in another state
	}
	list, next, err := awsapi.Page(ctx, rows, func(r bus.Archive) string { return r.Name }, in.NextToken, in.Limit, page)
	if err != nil {
		return nil, err
	}
	out := &eventbridge.ListArchivesOutput{NextToken: next, Archives: []types.Archive{}}
	for _, row := range list {
		w, err := a.wireArchive(ctx, row)
		if err != nil {
			return nil, err
		}
		out.Archives = append(out.Archives, w)
	}
	return out, nil
}

// archiveName is the archive of the caller's that an ARN names.
func archiveName(ctx context.Context, arn string) (string, bool) {
	return strings.CutPrefix(arn, bus.Archive{Scope: scope(ctx)}.ARN())
}
