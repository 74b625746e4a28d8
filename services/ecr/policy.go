package ecr

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/dhowhq/dhow/image"
)

// GetRepositoryPolicy returns the policy that SetRepositoryPolicy kept.
func (a *API) GetRepositoryPolicy(ctx context.Context, in *ecr.GetRepositoryPolicyInput) (*ecr.GetRepositoryPolicyOutput, error) {
	r, err := a.policy(ctx, in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	return &ecr.GetRepositoryPolicyOutput{PolicyText: &r.Policy, RegistryId: &r.Scope.Account, RepositoryName: &r.Name}, nil
}

func (a *API) policy(ctx context.Context, registry, name *string) (image.Repository, error) {
	s, err := a.scope(ctx, registry)
	if err != nil {
		return image.Repository{}, err
	}
	r, err := a.images.Repository(s, deref(name))
	if err != nil {
		return r, wireError(err)
	}
	return r, hasPolicy(r)
}

func hasPolicy(r image.Repository) error {
	if r.Policy == "" {
		return &types.RepositoryPolicyNotFoundException{Message: ptr(fmt.Sprintf("Repository policy does not exist for the repository with name '%s' in the registry with id '%s'", r.Name, r.Scope.Account))}
	}
	return nil
}

// SetRepositoryPolicy keeps a policy. It is shown, and decides nothing: in open
// mode nobody is refused, and where accounts are proven no other account has
// access.
func (a *API) SetRepositoryPolicy(ctx context.Context, in *ecr.SetRepositoryPolicyInput) (*ecr.SetRepositoryPolicyOutput, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(deref(in.PolicyText)), &object); err != nil || object["Statement"] == nil {
		return nil, invalidParam("PolicyText", "Invalid repository policy provided")
	}
	r, err := a.change(ctx, in.RegistryId, in.RepositoryName, func(r *image.Repository) error { r.Policy = *in.PolicyText; return nil })
	if err != nil {
		return nil, err
	}
	return &ecr.SetRepositoryPolicyOutput{PolicyText: &r.Policy, RegistryId: &r.Scope.Account, RepositoryName: &r.Name}, nil
}

// DeleteRepositoryPolicy forgets the policy.
func (a *API) DeleteRepositoryPolicy(ctx context.Context, in *ecr.DeleteRepositoryPolicyInput) (*ecr.DeleteRepositoryPolicyOutput, error) {
	var old string
	r, err := a.change(ctx, in.RegistryId, in.RepositoryName, func(r *image.Repository) error {
		old, r.Policy = r.Policy, ""
		return hasPolicy(image.Repository{Scope: r.Scope, Name: r.Name, Policy: old})
	})
	if err != nil {
		return nil, err
	}
	return &ecr.DeleteRepositoryPolicyOutput{PolicyText: &old, RegistryId: &r.Scope.Account, RepositoryName: &r.Name}, nil
}

// GetLifecyclePolicy returns the repository's lifecycle policy.
func (a *API) GetLifecyclePolicy(ctx context.Context, in *ecr.GetLifecyclePolicyInput) (*ecr.GetLifecyclePolicyOutput, error) {
	s, err := a.scope(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	r, err := a.images.Repository(s, deref(in.RepositoryName))
	if err != nil {
		return nil, wireError(err)
	}
	if err := hasLifecycle(r); err != nil {
		return nil, err
	}
	return &ecr.GetLifecyclePolicyOutput{LifecyclePolicyText: &r.Lifecycle, LastEvaluatedAt: evaluated(r.LifecycleAt), RegistryId: &r.Scope.Account, RepositoryName: &r.Name}, nil
}

func hasLifecycle(r image.Repository) error {
	if r.Lifecycle == "" {
		return &types.LifecyclePolicyNotFoundException{Message: ptr(fmt.Sprintf("Lifecycle policy does not exist for the repository with name '%s' in the registry with id '%s'", r.Name, r.Scope.Account))}
	}
	return nil
}

func evaluated(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// PutLifecyclePolicy keeps a policy, which the hourly sweep carries out.
func (a *API) PutLifecyclePolicy(ctx context.Context, in *ecr.PutLifecyclePolicyInput) (*ecr.PutLifecyclePolicyOutput, error) {
	if _, err := image.ParseLifecycle(deref(in.LifecyclePolicyText)); err != nil {
		return nil, invalidParam("LifecyclePolicyText", "Lifecycle policy validation failure: %v", err)
	}
	r, err := a.change(ctx, in.RegistryId, in.RepositoryName, func(r *image.Repository) error {
		r.Lifecycle, r.LifecycleAt = *in.LifecyclePolicyText, time.Time{}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecr.PutLifecyclePolicyOutput{LifecyclePolicyText: &r.Lifecycle, RegistryId: &r.Scope.Account, RepositoryName: &r.Name}, nil
}

// DeleteLifecyclePolicy forgets the lifecycle policy.
func (a *API) DeleteLifecyclePolicy(ctx context.Context, in *ecr.DeleteLifecyclePolicyInput) (*ecr.DeleteLifecyclePolicyOutput, error) {
	var old image.Repository
	r, err := a.change(ctx, in.RegistryId, in.RepositoryName, func(r *image.Repository) error {
		old = *r
		r.Lifecycle, r.LifecycleAt = "", time.Time{}
		return hasLifecycle(old)
	})
	if err != nil {
		return nil, err
	}
	return &ecr.DeleteLifecyclePolicyOutput{LifecyclePolicyText: &old.Lifecycle, LastEvaluatedAt: evaluated(old.LifecycleAt), RegistryId: &r.Scope.Account, RepositoryName: &r.Name}, nil
}
