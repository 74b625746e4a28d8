package pattern

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustParse(t testing.TB, src string) *Pattern {
	t.Helper()
	p, err := Parse(src)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return p
}

// decide asks the pattern and a set of it alone, which must agree.
func decide(t testing.TB, p *Pattern, event string) bool {
	t.Helper()
	want, err := p.Match([]byte(event))
	s := NewSet[int]()
	s.Put(1, p)
	got, setErr := s.Match([]byte(event), nil)
	if (err == nil) != (setErr == nil) {
		t.Fatalf("pattern %s, event %s: the pattern's error is %v, the set's %v", p, event, err, setErr)
	}
	if want != (len(got) == 1) {
		t.Fatalf("pattern %s, event %s: the pattern says %v, the set %v", p, event, want, got)
	}
	s.Delete(1)
	if !s.isEmpty() {
		t.Fatalf("pattern %s leaves something behind", p)
	}
	return want
}

// isEmpty says whether nothing is left of patterns that were deleted.
func (s *Set[K]) isEmpty() bool {
	return len(s.root.fields) == 0 && len(s.root.byPath) == 0 && len(s.root.accept) == 0 && s.root.absents == 0 && len(s.paths.kids) == 0 &&
		len(s.keys) == 0 && len(s.free) == len(s.entries) && len(s.pathIDs.free) == int(s.pathIDs.next) && len(s.edgeIDs.free) == int(s.edgeIDs.next)
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, event string
		want           bool
	}{
		{`{"a":["x"]}`, `{"a":"x"}`, true},
		{`{"a":["x"]}`, `{"a":"X"}`, false},
		{`{"a":["x"]}`, `{"b":"x"}`, false},
		{`{"a":["x","y"]}`, `{"a":"y"}`, true},
		{`{"a":["x"]}`, `{"a":["y","x"]}`, true},
		{`{"a":["x"]}`, `{"a":[["x"]]}`, true},
		{`{"a":["x"],"b":["y"]}`, `{"a":"x","b":"z"}`, false},
		{`{"a":["\u00e9"]}`, `{"a":"\u00e9"}`, true},
		{`{"a":["é"]}`, `{"a":"\u00e9"}`, true},
		{`{"a":["x\"y"]}`, `{"a":"x\"y"}`, true},
		{`{"a":[1]}`, `{"a":1}`, true},
		{`{"a":[1]}`, `{"a":1.0}`, true},
		{`{"a":[300]}`, `{"a":3.0e2}`, true},
		{`{"a":["1"]}`, `{"a":1}`, false},
		{`{"a":[1]}`, `{"a":"1"}`, false},
		{`{"a":[0]}`, `{"a":-0.0}`, true},
		{`{"a":[1e999]}`, `{"a":1e999}`, true},
		{`{"a":[true]}`, `{"a":true}`, true},
		{`{"a":[true]}`, `{"a":"true"}`, false},
		{`{"a":[null]}`, `{"a":null}`, true},
		{`{"a":[null]}`, `{}`, false},
		{`{"a":[null]}`, `{"a":[null]}`, true},
		{`{"a":[""]}`, `{"a":""}`, true},
		{`{"a":[""]}`, `{"a":null}`, false},
		{`{"a":{"b":["x"]}}`, `{"a":{"b":"x"}}`, true},
		{`{"a":{"b":["x"]}}`, `{"a.b":"x"}`, false},
		{`{"a.b":["x"]}`, `{"a":{"b":"x"}}`, false},

		{`{"a":[{"prefix":"ab"}]}`, `{"a":"abc"}`, true},
		{`{"a":[{"prefix":"ab"}]}`, `{"a":"a"}`, false},
		{`{"a":[{"prefix":""}]}`, `{"a":""}`, true},
		{`{"a":[{"prefix":"1"}]}`, `{"a":12}`, false},
		{`{"a":[{"suffix":".png"}]}`, `{"a":"x.png"}`, true},
		{`{"a":[{"suffix":".png"}]}`, `{"a":".pn"}`, false},
		{`{"a":[{"prefix":{"equals-ignore-case":"AB"}}]}`, `{"a":"abc"}`, true},
		{`{"a":[{"suffix":{"equals-ignore-case":".PnG"}}]}`, `{"a":"x.pNg"}`, true},
		{`{"a":[{"equals-ignore-case":"alice"}]}`, `{"a":"ALICE"}`, true},
		{`{"a":[{"equals-ignore-case":"ÄÖ"}]}`, `{"a":"äö"}`, true},
		{`{"a":[{"equals-ignore-case":"alice"}]}`, `{"a":"alicee"}`, false},
		{`{"a":[{"wildcard":"dir/*.png"}]}`, `{"a":"dir/x/y.png"}`, true},
		{`{"a":[{"wildcard":"*"}]}`, `{"a":""}`, true},
		{`{"a":[{"wildcard":"a*b*a"}]}`, `{"a":"aba"}`, true},
		{`{"a":[{"wildcard":"a*a"}]}`, `{"a":"a"}`, false},
		{`{"a":[{"wildcard":"*ab*ab*"}]}`, `{"a":"xabab"}`, true},
		{`{"a":[{"wildcard":"*ab*ab*"}]}`, `{"a":"xaba"}`, false},
		{`{"a":[{"wildcard":"a\\*b"}]}`, `{"a":"a*b"}`, true},
		{`{"a":[{"wildcard":"a\\*b"}]}`, `{"a":"axb"}`, false},
		{`{"a":[{"wildcard":"a\\\\*"}]}`, `{"a":"a\\b"}`, true},

		{`{"a":[{"anything-but":"x"}]}`, `{"a":"y"}`, true},
		{`{"a":[{"anything-but":"x"}]}`, `{"a":"x"}`, false},
		{`{"a":[{"anything-but":"x"}]}`, `{}`, false},
		{`{"a":[{"anything-but":"x"}]}`, `{"a":null}`, true},
		{`{"a":[{"anything-but":"x"}]}`, `{"a":["x","y"]}`, true},
		{`{"a":[{"anything-but":0}]}`, `{"a":0.0}`, false},
		{`{"a":[{"anything-but":[1,2]}]}`, `{"a":2}`, false},
		{`{"a":[{"anything-but":[1,2]}]}`, `{"a":"2"}`, true},
		{`{"a":[{"anything-but":{"prefix":"ab"}}]}`, `{"a":"abc"}`, false},
		{`{"a":[{"anything-but":{"prefix":["ab","x"]}}]}`, `{"a":"xc"}`, false},
		{`{"a":[{"anything-but":{"prefix":"ab"}}]}`, `{"a":5}`, true},
		{`{"a":[{"anything-but":{"suffix":".png"}}]}`, `{"a":"x.png"}`, false},
		{`{"a":[{"anything-but":{"equals-ignore-case":["A","b"]}}]}`, `{"a":"B"}`, false},
		{`{"a":[{"anything-but":{"wildcard":"*/lib/*"}}]}`, `{"a":"x/lib/y"}`, false},
		{`{"a":[{"anything-but":{"wildcard":["*/lib/*","*x"]}}]}`, `{"a":"x/li/y"}`, true},

		{`{"a":[{"numeric":["=",5]}]}`, `{"a":5.0}`, true},
		{`{"a":[{"numeric":[">",0,"<=",5]}]}`, `{"a":5}`, true},
		{`{"a":[{"numeric":[">",0,"<=",5]}]}`, `{"a":0}`, false},
		{`{"a":[{"numeric":["<",10]}]}`, `{"a":-3e2}`, true},
		{`{"a":[{"numeric":["<",10]}]}`, `{"a":"3"}`, false},
		{`{"a":[{"numeric":[">=",1.5]}]}`, `{"a":1.5}`, true},
		{`{"a":[{"numeric":[">",-0.0]}]}`, `{"a":0}`, false},
		{`{"a":[{"cidr":"10.0.0.0/24"}]}`, `{"a":"10.0.0.255"}`, true},
		{`{"a":[{"cidr":"10.0.0.0/24"}]}`, `{"a":"10.0.1.0"}`, false},
		{`{"a":[{"cidr":"2001:db8::/32"}]}`, `{"a":"2001:db8:1::"}`, true},
		{`{"a":[{"cidr":"0.0.0.0/0"}]}`, `{"a":"x"}`, false},

		{`{"a":[{"exists":true}]}`, `{"a":null}`, true},
		{`{"a":[{"exists":true}]}`, `{"a":{"b":1}}`, false},
		{`{"a":[{"exists":true}]}`, `{"a":[]}`, false},
		{`{"a":[{"exists":false}]}`, `{"b":1}`, true},
		{`{"a":[{"exists":false}]}`, `{"a":1}`, false},
		{`{"a":[{"exists":false}]}`, `{"a":{"c1":1}}`, true},
		{`{"a":{"b":{"c":[{"exists":false}]}}}`, `{}`, true},
		{`{"a":[{"exists":false},"x"]}`, `{"a":"x"}`, true},
		{`{"a":[{"exists":false},"x"]}`, `{"a":"y"}`, false},
		{`{"l":{"x":[1],"y":[{"exists":false}]}}`, `{"l":[{"x":1},{"y":2}]}`, false},

		{`{"e":{"f":["Anna"],"l":["Smith"]}}`, `{"e":[{"f":"John","l":"Doe"},{"f":"Anna","l":"Smith"}]}`, true},
		{`{"e":{"f":["Anna"],"l":["Jones"]}}`, `{"e":[{"f":"Anna","l":"Smith"},{"f":"Peter","l":"Jones"}]}`, false},
		{`{"e":{"f":["Anna"],"l":["Jones"]}}`, `{"e":[[{"f":"Anna","l":"Smith"}],[{"f":"Peter","l":"Jones"}]]}`, false},
		{`{"e":{"f":["Anna"],"l":["Jones"]}}`, `{"e":[[{"f":"Anna","l":"Smith"}],[{"f":"Anna","l":"Jones"}]]}`, true},
		{`{"e":{"f":["A"],"g":{"h":["1"],"i":["2"]}}}`, `{"e":[{"f":"A","g":[{"h":"1"},{"i":"2"}]},{"f":"B","g":[{"h":"1","i":"2"}]}]}`, false},
		{`{"e":{"f":["A"],"g":{"h":["1"],"i":["2"]}}}`, `{"e":[{"f":"A","g":[{"h":"1"},{"h":"1","i":"2"}]}]}`, true},

		{`{"s":["x"],"$or":[{"a":[1]},{"b":[2]}]}`, `{"s":"x","b":2}`, true},
		{`{"s":["x"],"$or":[{"a":[1]},{"b":[2]}]}`, `{"s":"x","b":1}`, false},
		{`{"s":["x"],"$or":[{"a":[1]},{"b":[2],"$or":[{"c":[3]},{"d":[4]}]}]}`, `{"s":"x","b":2,"d":4}`, true},
		{`{"d":{"$or":[{"a":[1]},{"b":[2]}]},"$or":[{"x":[1]},{"y":[1]}]}`, `{"d":{"b":2},"x":1}`, true},
		{`{"$or":{"a":[1]}}`, `{"$or":{"a":1}}`, true},
		{`{"$or":["a"]}`, `{"$or":"a"}`, true},
		{`{"$or":[{"prefix":"a"},{"suffix":"b"}]}`, `{"$or":"xb"}`, true},
	} {
		if got := decide(t, mustParse(t, c.pattern), c.event); got != c.want {
			t.Errorf("pattern %s, event %s: %v", c.pattern, c.event, got)
		}
	}
}

func TestBadEvents(t *testing.T) {
	p := mustParse(t, `{"a":["x"],"b":{"c":[1]}}`)
	for _, event := range []string{``, `x`, `[]`, `"x"`, `{`, `{"a"}`, `{"a":}`, `{"a":"x",}`, `{"a":"x"}}`, `{"a":01}`, `{"z":[1,]}`, `{"z":tru}`,
		`{"a":"\x"}`, `{"a":"\u12"}`, "{\"a\":\"\n\"}", "{\"a\":\"\xff\"}", `{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`} {
		if decide(t, p, event) {
			t.Errorf("%.40s matches", event)
		}
		if _, err := p.Match([]byte(event)); err == nil {
			t.Errorf("%.40s is taken", event)
		}
	}
}

// Arrays that are not related to each other cost a bounded time, and are decided
// right even so.
func TestExplosion(t *testing.T) {
	var b strings.Builder
	b.WriteString("{")
	for i := range 6 {
		fmt.Fprintf(&b, `"a%d":[`, i)
		for j := range 200 {
			fmt.Fprintf(&b, `{"x":"v%d"},`, j)
		}
		fmt.Fprint(&b, `{"x":"last"}],`)
	}
	event := b.String() + `"end":1}`
	var p strings.Builder
	for i := range 6 {
		fmt.Fprintf(&p, `"a%d":{"x":[{"prefix":"v"}]},`, i)
	}
	for want, end := range map[bool]string{true: `{"exists":true}`, false: `{"exists":false}`} {
		if got := decide(t, mustParse(t, "{"+p.String()+`"end":[`+end+`]}`), event); got != want {
			t.Errorf("end %s: %v", end, got)
		}
	}
}

// drawPattern makes patterns of a small vocabulary, so that they often match.
func drawPattern(t *rapid.T) string {
	var object func(depth int) string
	word := rapid.StringMatching(`[abB]{0,3}`)
	quoted := func() string { return fmt.Sprintf("%q", word.Draw(t, "word")) }
	num := func() string {
		return rapid.SampledFrom([]string{"0", "1", "2", "1.0", "-1", "1e0", "2.5"}).Draw(t, "number")
	}
	value := func() string {
		switch rapid.IntRange(0, 15).Draw(t, "operator") {
		case 0:
			return quoted()
		case 1:
			return num()
		case 2:
			return rapid.SampledFrom([]string{"true", "false", "null"}).Draw(t, "literal")
		case 3:
			return `{"prefix":` + quoted() + `}`
		case 4:
			return `{"suffix":` + quoted() + `}`
		case 5:
			return `{"prefix":{"equals-ignore-case":` + quoted() + `}}`
		case 6:
			return `{"suffix":{"equals-ignore-case":` + quoted() + `}}`
		case 7:
			return `{"equals-ignore-case":` + quoted() + `}`
		case 8, 9:
			return fmt.Sprintf(`{"wildcard":%q}`, rapid.SampledFrom([]string{"*", "a*", "*a", "*a*", "a*b", "a*b*a", "*ab*a*", "ab*ab", "*b*b", "a"}).Draw(t, "wildcard"))
		case 10:
			return rapid.SampledFrom([]string{`{"numeric":["=",1]}`, `{"numeric":[">",0]}`, `{"numeric":["<=",1]}`, `{"numeric":[">=",-1,"<",2]}`}).Draw(t, "numeric")
		case 11:
			return rapid.SampledFrom([]string{`{"cidr":"10.0.0.0/8"}`, `{"cidr":"10.1.0.0/16"}`, `{"cidr":"::/0"}`}).Draw(t, "cidr")
		case 12:
			return `{"exists":true}`
		case 13:
			return `{"exists":false}`
		case 14:
			return rapid.SampledFrom([]string{`{"anything-but":["a","b"]}`, `{"anything-but":1}`, `{"anything-but":{"prefix":"a"}}`, `{"anything-but":{"wildcard":"*b*"}}`, `{"anything-but":{"equals-ignore-case":["AB"]}}`}).Draw(t, "but")
		}
		return quoted()
	}
	object = func(depth int) string {
		var fields []string
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3, rapid.ID).Draw(t, "names")
		for _, name := range names {
			if depth < 2 && rapid.IntRange(0, 2).Draw(t, "nest") == 0 {
				fields = append(fields, fmt.Sprintf("%q:%s", name, object(depth+1)))
				continue
			}
			var vs []string
			for range rapid.IntRange(1, 2).Draw(t, "values") {
				vs = append(vs, value())
			}
			fields = append(fields, fmt.Sprintf("%q:[%s]", name, strings.Join(vs, ",")))
		}
		if depth < 2 && rapid.IntRange(0, 4).Draw(t, "or") == 0 {
			fields = append(fields, fmt.Sprintf(`"$or":[%s,%s]`, object(depth+1), object(depth+1)))
		}
		return "{" + strings.Join(fields, ",") + "}"
	}
	return object(0)
}

func drawEvent(t *rapid.T) string {
	var value func(depth int) any
	object := func(depth int) map[string]any {
		m := map[string]any{}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 4, rapid.ID).Draw(t, "members") {
			m[name] = value(depth + 1)
		}
		return m
	}
	value = func(depth int) any {
		switch k := rapid.IntRange(0, 12).Draw(t, "kind"); {
		case k < 4 && depth < 4:
			return object(depth)
		case k < 7 && depth < 4:
			list := []any{}
			for range rapid.IntRange(0, 3).Draw(t, "elements") {
				list = append(list, value(depth+1))
			}
			return list
		case k < 8:
			return rapid.SampledFrom([]any{nil, true, false}).Draw(t, "literal")
		case k < 10:
			return rapid.SampledFrom([]any{0, 1, 2, -1, 1.5}).Draw(t, "number")
		case k < 11:
			return rapid.SampledFrom([]any{"10.1.2.3", "10.200.0.1", "::1"}).Draw(t, "address")
		}
		return rapid.StringMatching(`[abAB]{0,4}`).Draw(t, "string")
	}
	b, err := json.Marshal(object(0))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A set decides as its patterns do, whatever was put and deleted before, and is
// empty again when they are gone.
func TestSetAgreesWithPatterns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewSet[int]()
		model := map[int]*Pattern{}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k := rapid.IntRange(0, 15).Draw(t, "key")
				src := drawPattern(t)
				p, err := Parse(src)
				if err != nil {
					t.Fatalf("%s: %v", src, err)
				}
				s.Put(k, p)
				model[k] = p
			},
			"delete": func(t *rapid.T) {
				k := rapid.IntRange(0, 15).Draw(t, "key")
				s.Delete(k)
				delete(model, k)
			},
			"match": func(t *rapid.T) {
				event := drawEvent(t)
				got, err := s.Match([]byte(event), nil)
				if err != nil {
					t.Fatal(err)
				}
				var want []int
				for k, p := range model {
					if ok, err := p.Match([]byte(event)); err != nil {
						t.Fatal(err)
					} else if ok {
						want = append(want, k)
					}
				}
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					for _, k := range slices.Concat(got, want) {
						if slices.Contains(got, k) != slices.Contains(want, k) {
							t.Errorf("pattern %s", model[k])
						}
					}
					t.Fatalf("event %s: the set says %v, the patterns %v", event, got, want)
				}
			},
		})
		for k := range model {
			s.Delete(k)
		}
		if !s.isEmpty() {
			t.Fatal("something is left of deleted patterns")
		}
	})
}

// FuzzDecision: no pattern and event bring the set and the pattern apart, no
// text panics.
func FuzzDecision(f *testing.F) {
	for _, s := range [][2]string{
		{`{"a":["x",1,null,{"prefix":"y"}]}`, `{"a":["y",1]}`},
		{`{"$or":[{"a":[{"wildcard":"*a*"}]},{"b":{"c":[{"numeric":[">",1]}]}}]}`, `{"b":[{"c":2}]}`},
		{`{"a":[{"anything-but":{"suffix":["x"]}}],"b":[{"cidr":"10.0.0.0/8"}]}`, `{"a":"\ud83d\ude00","b":"10.0.0.1"}`},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, src, event string) {
		p, err := Parse(src)
		if err != nil {
			if e := (*Error)(nil); !errors.As(err, &e) {
				t.Fatalf("error %v is no *Error", err)
			}
			return
		}
		if !json.Valid([]byte(src)) {
			t.Fatalf("pattern %q is no JSON", src)
		}
		if json.Valid([]byte(event)) && repeatsNames(event) || strings.Count(event, "[")+strings.Count(event, "{") > 900 {
			return
		}
		decide(t, p, event)
	})
}

// repeatsNames says whether an object of event has a name twice: which counts is
// not told by JSON, and a pattern and a set differ in it.
func repeatsNames(event string) bool {
	d := json.NewDecoder(strings.NewReader(event))
	var value func() bool
	value = func() bool {
		tok, err := d.Token()
		if err != nil {
			return false
		}
		switch tok {
		case json.Delim('{'):
			seen := map[any]bool{}
			for d.More() {
				name, err := d.Token()
				if err != nil || seen[name] || value() {
					return err == nil
				}
				seen[name] = true
			}
			d.Token()
		case json.Delim('['):
			for d.More() {
				if value() {
					return true
				}
			}
			d.Token()
		}
		return false
	}
	return value()
}

func FuzzFilter(f *testing.F) {
	f.Add(`{"a":["x",{"anything-but":{"prefix":"y"}}]}`, true)
	f.Fuzz(func(t *testing.T, src string, body bool) {
		scope := Attributes
		if body {
			scope = Body
		}
		if p, err := ParseFilter(src, scope); err == nil {
			decide(t, p, `{"a":"x","b":[1,{"c":null}]}`)
		}
	})
}
