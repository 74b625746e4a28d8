package pattern

// pathNode is a name that steps of a Set ask for, below its parent. Events are
// read along these: what no step asks for is passed over.
type pathNode struct {
	parent *pathNode
	name   string
	kids   map[string]*pathNode
	id     int32 // of the path, dense
	steps  int   // how many fields of states are of this path
}

// leaf is a leaf of an event at a path that steps ask for.
type leaf struct {
	kind kind
	text []byte
	mem  int32 // the element of an array that holds it, or -1
	next int32 // the next leaf of the path, or -1
}

// member is an element of an array.
type member struct {
	parent int32 // the element of an outer array that holds the array, or -1
	array  int32
	depth  int32
}

// flat is an event as leaves.
type flat struct {
	scanner
	leaves  []leaf
	members []member
	arrays  int32
	paths   []*pathNode // that have leaves
	first   []int32     // by path: its first leaf, where stamp is gen
	last    []int32
	stamp   []uint32
	gen     uint32
}

// read takes an event apart along the paths below root, of which there are n.
func (f *flat) read(event []byte, root *pathNode, n int) error {
	f.src, f.pos, f.buf = event, 0, f.buf[:0]
	f.leaves, f.members, f.paths, f.arrays = f.leaves[:0], f.members[:0], f.paths[:0], 0
	if len(f.stamp) < n {
		f.first, f.last, f.stamp = make([]int32, n), make([]int32, n), make([]uint32, n)
		f.gen = 0
	}
	if f.gen++; f.gen == 0 {
		clear(f.stamp)
		f.gen = 1
	}
	if !f.eat('{') {
		return errJSON
	}
	if err := f.fields(root, -1, 0); err != nil {
		return err
	}
	if f.peek() != 0 || f.pos < len(f.src) {
		return errJSON
	}
	return nil
}

// fields reads an object below p, whose brace is taken.
func (f *flat) fields(p *pathNode, mem int32, depth int) error {
	return f.object(func(name []byte) error {
		k := p.kids[string(name)]
		if k == nil {
			return f.skip(depth + 1)
		}
		return f.value(k, mem, mem, depth+1)
	})
}

// value reads a value at p. Objects in it belong to the element mem of an array,
// scalars to object, the element that holds the innermost object around them.
func (f *flat) value(p *pathNode, mem, object int32, depth int) error {
	if depth > MaxDepth {
		return errJSON
	}
	switch f.peek() {
	case '{':
		f.pos++
		return f.fields(p, mem, depth)
	case '[':
		f.pos++
		f.arrays++
		array := f.arrays
		return f.array(func() error {
			in := mem
			if c := f.peek(); c == '{' || c == '[' {
				in = f.member(mem, array)
			}
			return f.value(p, in, object, depth+1)
		})
	case '"':
		text, err := f.str()
		f.leaf(p, kindString, text, object)
		return err
	}
	text, err := f.bare()
	if err != nil {
		return err
	}
	k := kindNumber
	if c := text[0]; c == 't' || c == 'f' || c == 'n' {
		k = kindLiteral
	}
	f.leaf(p, k, text, object)
	return nil
}

func (f *flat) member(parent, array int32) int32 {
	depth := int32(0)
	if parent >= 0 {
		depth = f.members[parent].depth + 1
	}
	f.members = append(f.members, member{parent, array, depth})
	return int32(len(f.members) - 1)
}

func (f *flat) leaf(p *pathNode, k kind, text []byte, mem int32) {
	if p.steps == 0 {
		return
	}
	n := int32(len(f.leaves))
	f.leaves = append(f.leaves, leaf{k, text, mem, -1})
	if f.stamp[p.id] != f.gen {
		f.stamp[p.id], f.first[p.id] = f.gen, n
		f.paths = append(f.paths, p)
	} else {
		f.leaves[f.last[p.id]].next = n
	}
	f.last[p.id] = n
}

// at is the first leaf at p, or -1.
func (f *flat) at(p *pathNode) int32 {
	if f.stamp[p.id] != f.gen {
		return -1
	}
	return f.first[p.id]
}

// together says whether the elements a and b may both hold leaves of a match:
// they, and what holds them, are not different elements of one array.
func (f *flat) together(a, b int32) bool {
	for a >= 0 && b >= 0 && f.members[a].depth > f.members[b].depth {
		a = f.members[a].parent
	}
	for a >= 0 && b >= 0 && f.members[b].depth > f.members[a].depth {
		b = f.members[b].parent
	}
	for a >= 0 && b >= 0 && a != b {
		if f.members[a].array == f.members[b].array {
			return false
		}
		a, b = f.members[a].parent, f.members[b].parent
	}
	return true
}
