package protobuf

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// GlueIndexes turns the number by which Glue's serializers name a message of a
// schema, in a varint before the payload, into the indexes of ValidateMessage.
// They number all messages of the file, at whatever depth, by their full names in
// the order of bytes (MessageIndexFinder of the AWS Glue Schema Registry library).
// The indexes are the schema's own, to be read only.
func (s *Schema) GlueIndexes(number uint64) (indexes []int, ok bool) {
	if number >= uint64(len(s.numbers)) {
		return nil, false
	}
	return s.numbers[number].indexes, true
}

// inOrder is all messages of a file by their numbers.
func inOrder(f protoreflect.FileDescriptor) []numbered {
	all := messages(nil, nil, f.Messages())
	slices.SortFunc(all, func(a, b numbered) int { return cmp.Compare(a.name, b.name) })
	return all
}

// numbered is a message with the indexes that lead to it.
type numbered struct {
	name    protoreflect.FullName
	indexes []int
}

// messages lists messages and those within them; entries of maps are some.
func messages(list []numbered, above []int, in protoreflect.MessageDescriptors) []numbered {
	for i := range in.Len() {
		m := in.Get(i)
		at := append(slices.Clone(above), i)
		list = messages(append(list, numbered{m.FullName(), at}), at, m.Messages())
	}
	return list
}
