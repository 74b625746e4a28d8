package ecs

import (
	"context"
	"iter"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// maxAttributes of one's own that an instance may have.
const maxAttributes = 10

// By the API reference on Attribute.
var (
	attributeNameOK  = regexp.MustCompile(`^[a-zA-Z0-9\-_./\\]{1,128}$`)
	attributeValueOK = regexp.MustCompile(`^[a-zA-Z0-9\-_.@:/\\ ]{0,128}$`)
)

// PutAttributes sets attributes on container instances.
func (a *API) PutAttributes(ctx context.Context, in *ecs.PutAttributesInput) (*ecs.PutAttributesOutput, error) {
	out := &ecs.PutAttributesOutput{Attributes: []types.Attribute{}}
	err := a.changeAttributes(ctx, in.Cluster, in.Attributes, func(i *cluster.Instance, t types.Attribute) error {
		t = types.Attribute{Name: t.Name, Value: t.Value}
		i.Attributes = cluster.MergeAttributes(i.Attributes, []types.Attribute{t})
		own := 0
		for _, t := range i.Attributes {
			if !reservedAttribute(deref(t.Name)) {
				own++
			}
		}
		if own > maxAttributes {
			return &types.AttributeLimitExceededException{Message: ptr("Container instance " + i.ID + " can have 10 custom attributes at most.")}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, t := range in.Attributes {
		out.Attributes = append(out.Attributes, types.Attribute{Name: t.Name, Value: t.Value, TargetId: t.TargetId, TargetType: types.TargetTypeContainerInstance})
	}
	return out, nil
}

// DeleteAttributes takes attributes away.
func (a *API) DeleteAttributes(ctx context.Context, in *ecs.DeleteAttributesInput) (*ecs.DeleteAttributesOutput, error) {
	err := a.changeAttributes(ctx, in.Cluster, in.Attributes, func(i *cluster.Instance, t types.Attribute) error {
		i.Attributes = slices.DeleteFunc(slices.Clone(i.Attributes), func(o types.Attribute) bool {
			return deref(o.Name) == deref(t.Name) && (t.Value == nil || deref(o.Value) == *t.Value)
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecs.DeleteAttributesOutput{Attributes: orEmpty(in.Attributes)}, nil
}

// changeAttributes applies change to the target of each attribute.
func (a *API) changeAttributes(ctx context.Context, ref *string, attributes []types.Attribute, change func(*cluster.Instance, types.Attribute) error) error {
	if n := len(attributes); n == 0 || n > maxAttributes {
		return invalidParam("Attributes must have between 1 and %d elements, but had %d.", maxAttributes, n)
	}
	for _, t := range attributes {
		switch {
		case !attributeNameOK.MatchString(deref(t.Name)):
			return invalidParam("Invalid attribute name: %.140q. Use 1-128 letters, digits and - _ . / \\", deref(t.Name))
		case !attributeValueOK.MatchString(deref(t.Value)):
			return invalidParam("Invalid value of attribute %s: %.140q. Use up to 128 letters, digits, spaces and - _ . @ : / \\", *t.Name, deref(t.Value))
		case reservedAttribute(*t.Name):
			return invalidParam("Attribute %s can not be changed: names that begin with ecs. or com.amazonaws. are the agent's.", *t.Name)
		case t.TargetType != "" && t.TargetType != types.TargetTypeContainerInstance:
			return invalidParam("Invalid targetType: %s. It must be container-instance.", t.TargetType)
		case deref(t.TargetId) == "":
			return invalidParam("Attribute %s lacks a targetId, the container instance that it is for.", *t.Name)
		}
	}
	return a.db.Update(ctx, func(tx *store.Tx) error {
		c, err := findCluster(tx, scope(ctx), ref)
		if err != nil {
			return err
		}
		for _, t := range attributes {
			i, ok, err := findInstance(tx, c, *t.TargetId)
			switch {
			case err != nil:
				return err
			case !ok:
				return &types.TargetNotFoundException{Message: ptr("Target not found: " + *t.TargetId)}
			}
			if err := change(&i, t); err != nil {
				return err
			}
			if err := cluster.SaveInstance(tx, i); err != nil {
				return err
			}
		}
		return nil
	})
}

// reservedAttribute reports whether an attribute is the agent's to say.
func reservedAttribute(name string) bool {
	return strings.HasPrefix(name, "ecs.") || strings.HasPrefix(name, "com.amazonaws.")
}

// ListAttributes lists the attributes of a cluster's container instances.
func (a *API) ListAttributes(ctx context.Context, in *ecs.ListAttributesInput) (*ecs.ListAttributesOutput, error) {
	if in.TargetType != types.TargetTypeContainerInstance {
		return nil, invalidParam("Invalid targetType: %q. It must be container-instance.", in.TargetType)
	}
	if deref(in.AttributeValue) != "" && deref(in.AttributeName) == "" {
		return nil, invalidParam("attributeName must be given with attributeValue.")
	}
	out := new(ecs.ListAttributesOutput)
	err := a.db.View(func(r store.Reader) error {
		c, err := findCluster(r, scope(ctx), in.Cluster)
		if err != nil {
			return err
		}
		fits := filter(attributesOf(r, c), func(t types.Attribute) bool {
			return (deref(in.AttributeName) == "" || deref(t.Name) == *in.AttributeName) &&
				(deref(in.AttributeValue) == "" || deref(t.Value) == *in.AttributeValue)
		})
		key := func(t types.Attribute) string { return deref(t.TargetId) + "\x00" + deref(t.Name) }
		out.Attributes, out.NextToken, err = page(ctx, fits, key, in.MaxResults, 100, in.NextToken)
		out.Attributes = orEmpty(out.Attributes)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// attributesOf yields the attributes of c's instances, by instance and name.
func attributesOf(r store.Reader, c cluster.Cluster) iter.Seq[types.Attribute] {
	return func(yield func(types.Attribute) bool) {
		for i := range cluster.Instances.List(r, c.Scope.Prefix(c.Name)) {
			sorted := slices.SortedFunc(slices.Values(i.Attributes), func(a, b types.Attribute) int {
				return strings.Compare(deref(a.Name), deref(b.Name))
			})
			for _, t := range sorted {
				t.TargetId, t.TargetType = ptr(i.ARN()), types.TargetTypeContainerInstance
				if !yield(t) {
					return
				}
			}
		}
	}
}
