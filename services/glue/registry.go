package glue

import (
	"context"
	"iter"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// CreateRegistry makes a registry.
func (a *API) CreateRegistry(ctx context.Context, in *glue.CreateRegistryInput) (*glue.CreateRegistryOutput, error) {
	tags, err := merge(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	r, err := a.e.CreateRegistry(ctx, registry.Registry{Scope: scope(ctx), Name: *in.RegistryName, Description: deref(in.Description), Tags: tags})
	if err != nil {
		return nil, wrap(err, registry.Name{Registry: *in.RegistryName}, 0)
	}
	return &glue.CreateRegistryOutput{RegistryArn: ptr(r.ARN()), RegistryName: &r.Name, Description: in.Description, Tags: r.Tags}, nil
}

// GetRegistry shows a registry.
func (a *API) GetRegistry(ctx context.Context, in *glue.GetRegistryInput) (*glue.GetRegistryOutput, error) {
	name, err := registryOf(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	r, err := a.e.Registry(scope(ctx), name)
	if err != nil {
		return nil, noRegistry(name)
	}
	return &glue.GetRegistryOutput{
		RegistryArn: ptr(r.ARN()), RegistryName: &r.Name, Description: described(r.Description), Status: types.RegistryStatus(r.Status),
		CreatedTime: stamp(r.Created), UpdatedTime: stamp(r.Updated),
	}, nil
}

// described is a description, nil for none.
func described(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// defaultPage is the size of a page where none is asked for.
const defaultPage = 25

func pageSize(asked *int32) int {
	if asked == nil {
		return defaultPage
	}
	return 100
}

// ListRegistries pages through the registries that are not being deleted.
func (a *API) ListRegistries(ctx context.Context, in *glue.ListRegistriesInput) (out *glue.ListRegistriesOutput, err error) {
	out = &glue.ListRegistriesOutput{Registries: []types.RegistryListItem{}}
	a.e.Registries(scope(ctx), func(all iter.Seq[registry.Registry]) {
		there := filter(all, func(r registry.Registry) bool { return r.Status == registry.Available })
		var page []registry.Registry
		page, out.NextToken, err = awsapi.PageOf(ctx, there, registry.Registry.Key, in.NextToken, in.MaxResults, pageSize(in.MaxResults))
		for _, r := range page {
			out.Registries = append(out.Registries, types.RegistryListItem{
				RegistryArn: ptr(r.ARN()), RegistryName: &r.Name, Description: described(r.Description), Status: types.RegistryStatus(r.Status),
				CreatedTime: stamp(r.Created), UpdatedTime: stamp(r.Updated),
			})
		}
	})
	return out, err
}

func filter[T any](all iter.Seq[T], keep func(T) bool) iter.Seq[T] {
	return func(yield func(T) bool) {
		for v := range all {
			if keep(v) && !yield(v) {
				return
			}
		}
	}
}

// UpdateRegistry changes a registry's description.
func (a *API) UpdateRegistry(ctx context.Context, in *glue.UpdateRegistryInput) (*glue.UpdateRegistryOutput, error) {
	name, err := registryOf(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	r, err := a.changeRegistry(ctx, name, func(r *registry.Registry) error { r.Description = *in.Description; return nil })
	if err != nil {
		return nil, err
	}
	return &glue.UpdateRegistryOutput{RegistryArn: ptr(r.ARN()), RegistryName: &r.Name}, nil
}

func (a *API) changeRegistry(ctx context.Context, name string, change func(*registry.Registry) error) (registry.Registry, error) {
	r, err := a.e.ChangeRegistry(ctx, registry.Registry{Scope: scope(ctx), Name: name}, change)
	return r, wrap(err, registry.Name{Registry: name}, 0)
}

// DeleteRegistry begins the deleting of a registry with its schemas.
func (a *API) DeleteRegistry(ctx context.Context, in *glue.DeleteRegistryInput) (*glue.DeleteRegistryOutput, error) {
	name, err := registryOf(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	r, err := a.e.DeleteRegistry(ctx, scope(ctx), name)
	if err != nil {
		return nil, wrap(err, registry.Name{Registry: name}, 0)
	}
	return &glue.DeleteRegistryOutput{RegistryArn: ptr(r.ARN()), RegistryName: &r.Name, Status: types.RegistryStatus(r.Status)}, nil
}
