package sns

import "encoding/json"

// bodies reads a message of MessageStructure json: bodies by protocol. Of a name
// that comes twice the last counts; what is no string is not there.
func bodies(text string) (map[string]string, error) {
	var raw map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &raw) != nil || raw == nil {
		return nil, invalid("Message Structure - JSON message body failed to parse")
	}
	out := map[string]string{}
	for name, v := range raw {
		var s *string
		if json.Unmarshal(v, &s) == nil && s != nil {
			out[name] = *s
		}
	}
	if _, ok := out["default"]; !ok {
		return nil, invalid("Message Structure - No default entry in JSON message body")
	}
	return out, nil
}
