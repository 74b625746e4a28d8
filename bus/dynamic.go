package bus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus/input"
)

// dynamic puts values of the event for the JSON paths that a target's
// HttpParameters and EcsParameters have in the place of strings (user guide,
// "Dynamic path parameters"): the whole value is a path, map keys are none, and
// what a path finds is taken as it is. It is an error that a path finds nothing.
func dynamic(t types.Target, event []byte) (types.Target, error) {
	var err error
	if t.HttpParameters != nil {
		if t.HttpParameters, err = resolve(t.HttpParameters, event); err != nil {
			return t, fmt.Errorf("HttpParameters: %w", err)
		}
	}
	if t.EcsParameters != nil {
		if t.EcsParameters, err = resolve(t.EcsParameters, event); err != nil {
			return t, fmt.Errorf("EcsParameters: %w", err)
		}
	}
	return t, nil
}

// resolve returns p itself where it has no paths.
func resolve[P any](p *P, event []byte) (*P, error) {
	plain, err := json.Marshal(p)
	if err != nil || !bytes.Contains(plain, []byte(`"$.`)) {
		return p, err
	}
	var tree any
	if err := json.Unmarshal(plain, &tree); err != nil {
		return nil, err
	}
	if tree, err = replace(tree, event); err != nil {
		return nil, err
	}
	if plain, err = json.Marshal(tree); err != nil {
		return nil, err
	}
	out := new(P)
	return out, json.Unmarshal(plain, out)
}

func replace(v any, event []byte) (_ any, err error) {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			if v[k], err = replace(v[k], event); err != nil {
				return nil, err
			}
		}
	case []any:
		for i := range v {
			if v[i], err = replace(v[i], event); err != nil {
				return nil, err
			}
		}
	case string:
		if strings.HasPrefix(v, "$.") {
			return at(v, event)
		}
	}
	return v, nil
}

// at is the text of what a path finds; what is no path stands for itself.
func at(path string, event []byte) (string, error) {
	v, err := input.Find(event, path)
	if err != nil {
		return path, nil
	}
	if v == nil {
		return "", fmt.Errorf("the event has nothing at %s", path)
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		s = string(v)
	}
	return s, nil
}
