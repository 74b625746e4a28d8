package wire

import "strings"

// ParseName reads the text of a dataschema and of a dataschemaversion:
//
//	shop/order, 1.2.0                                      a schema of a registry
//	shop/order@1.2.0                                       the same in one
//	arn:aws:glue:eu-west-1:111122223333:schema/shop/order  the same by its ARN
//	urn:uuid:b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63          a Glue schema version
//
// Any other text is a name that no registry will know. An empty one is None.
func ParseName(schema, version string) Reference {
	if schema == "" {
		return Reference{}
	}
	if id, ok := strings.CutPrefix(schema, "urn:uuid:"); ok {
		if u, err := ParseUUID(id); err == nil {
			return Reference{Form: Glue, UUID: u}
		}
	}
	if name, v, ok := strings.Cut(schema, "@"); ok && version == "" {
		schema, version = name, v
	}
	return Reference{Form: Named, Name: schema, Version: version}
}

// SplitName splits the name of a reference into registry and schema. An ARN is
// that of a Glue schema; ok is false for a name of another form.
func SplitName(name string) (registry, schema string, ok bool) {
	if strings.HasPrefix(name, "arn:") {
		parts := strings.SplitN(name, ":", 6)
		if len(parts) < 6 || parts[2] != "glue" {
			return "", "", false
		}
		if name, ok = strings.CutPrefix(parts[5], "schema/"); !ok {
			return "", "", false
		}
	}
	registry, schema, ok = strings.Cut(name, "/")
	return registry, schema, ok && registry != "" && schema != "" && !strings.ContainsAny(schema, "/:")
}
