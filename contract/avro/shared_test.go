package avro

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	twmb "github.com/twmb/avro"
	"github.com/twmb/avro/ocf"
)

// shared is where Apache Avro's own schemas and files are.
const shared = "../../../shared/data/avro/"

func sharedFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(shared + name)
	if err != nil {
		t.Skip("no Avro data at ../shared/data/avro")
	}
	return data
}

// TestCanonicalForms runs the official cases of canonical forms and fingerprints.
func TestCanonicalForms(t *testing.T) {
	text := string(sharedFile(t, "data/schema-tests.txt"))
	cases := strings.Split(text, "<<INPUT ")
	multi := strings.Split(text, "<<INPUT\n")
	checked := 0
	for _, c := range cases[1:] {
		input, rest, _ := strings.Cut(c, "\n")
		if strings.Contains(input, "-- Avro parser broken") {
			continue
		}
		checkCanonical(t, input, rest)
		checked++
	}
	for _, c := range multi[1:] {
		input, rest, _ := strings.Cut(c, "INPUT\n")
		checkCanonical(t, input, rest)
		checked++
	}
	if checked != 34 {
		t.Errorf("%d cases, want 34", checked)
	}
}

func checkCanonical(t *testing.T, input, rest string) {
	t.Helper()
	s, err := Parse(Source{Text: input})
	if err != nil {
		t.Errorf("%s: %v", input, err)
		return
	}
	rest, _, _ = strings.Cut(rest, "<<INPUT")
	found := false
	for line := range strings.SplitSeq(rest, "\n") {
		if want, ok := strings.CutPrefix(line, "<<canonical "); ok {
			found = true
			if s.Canonical() != want {
				t.Errorf("%s:\n got %s\nwant %s", input, s.Canonical(), want)
			}
		}
		if want, ok := strings.CutPrefix(line, "<<fingerprint "); ok {
			if n, _ := strconv.ParseInt(want, 10, 64); int64(s.CRC64()) != n {
				t.Errorf("%s: fingerprint %d, want %d", input, int64(s.CRC64()), n)
			}
		}
	}
	if !found {
		t.Errorf("%s: the case has no canonical form", input)
	}
}

// TestFingerprints has the values that other languages give for the schema "int".
func TestFingerprints(t *testing.T) {
	s := must(t, `"int"`)
	md5, sha := s.MD5(), s.SHA256()
	if got, want := hex.EncodeToString(md5[:]), "ef524ea1b91e73173d938ade36c1db32"; got != want {
		t.Errorf("MD5 %s, want %s", got, want)
	}
	if got, want := hex.EncodeToString(sha[:]), "3f2b87a9fe7cc9b13835598c3981cd45e3e355309e5090aa0933d7becb6fba45"; got != want {
		t.Errorf("SHA-256 %s, want %s", got, want)
	}
}

func TestSharedSchemas(t *testing.T) {
	files, _ := filepath.Glob(shared + "schemas/*.avsc")
	more, _ := filepath.Glob(shared + "data/schemas/*/schema.json")
	if files = append(files, more...); len(files) == 0 {
		t.Skip("no Avro data at ../shared/data/avro")
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(Source{File: filepath.Base(f), Text: string(text)})
		if err != nil {
			t.Error(err)
			continue
		}
		if w := twmb.MustParse(string(text)); string(w.Canonical()) != s.Canonical() {
			t.Errorf("%s:\n got %s\ntwmb %s", f, s.Canonical(), w.Canonical())
		}
		if again := must(t, s.Meaning()); again.Meaning() != s.Meaning() || again.Canonical() != s.Canonical() {
			t.Errorf("%s: the meaning %s reads as %s", f, s.Meaning(), again.Meaning())
		}
	}
}

// TestContainers reads the files that other languages wrote, beside twmb.
func TestContainers(t *testing.T) {
	for name, want := range map[string]int{
		"weather.avro": 5, "weather-deflate.avro": 5, "weather-snappy.avro": 5, "weather-zstd.avro": 5, "weather-sorted.avro": 5,
		"syncInMeta.avro": -1, "schemas/simple/data.avro": -1, "schemas/withUnion/data.avro": -1,
	} {
		t.Run(name, func(t *testing.T) {
			data := sharedFile(t, "data/"+name)
			c, err := OpenContainer(name, bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if n := readContainer(t, c, data); n == 0 || want >= 0 && n != want {
				t.Errorf("%d data, want %d", n, want)
			}
		})
	}
}

// TestContainerOfOld is the one official file that is not read, and says why.
func TestContainerOfOld(t *testing.T) {
	_, err := OpenContainer("test.avro12", bytes.NewReader(sharedFile(t, "data/test.avro12")))
	if err == nil || !strings.Contains(err.Error(), "the format of Avro 1.2") || !strings.Contains(err.Error(), "write it anew with DataFileWriter") {
		t.Error(err)
	}
}

// readContainer compares each datum with what twmb reads.
func readContainer(t *testing.T, c *Container, data []byte) (n int) {
	t.Helper()
	theirs, err := ocf.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for {
		datum, err := c.Next()
		var want any
		if theirErr := theirs.Decode(&want); errors.Is(err, io.EOF) || err != nil {
			if !errors.Is(err, io.EOF) || !errors.Is(theirErr, io.EOF) {
				t.Fatalf("after %d data: %v; twmb: %v", n, err, theirErr)
			}
			return n
		}
		n++
		wire, err := theirs.Schema().Encode(want)
		if err != nil || !bytes.Equal(wire, datum) {
			t.Errorf("datum %d: %x, twmb %x %v", n, datum, wire, err)
		}
	}
}

func TestWeatherAsJSON(t *testing.T) {
	want := string(sharedFile(t, "data/weather.json"))
	c, err := OpenContainer("weather.avro", bytes.NewReader(sharedFile(t, "data/weather.avro")))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got strings.Builder
	for {
		datum, err := c.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		line, err := c.Schema().ToJSON(datum)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(append(line, '\n'))
	}
	if strings.TrimSpace(got.String()) != strings.TrimSpace(want) {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestSingleObject(t *testing.T) {
	schema := must(t, string(sharedFile(t, "data/messageV1/test_schema.avsc")))
	message := sharedFile(t, "data/messageV1/test_message.bin")
	if message[0] != 0xC3 || message[1] != 1 {
		t.Fatalf("the message begins with %x", message[:2])
	}
	if got := binary.LittleEndian.Uint64(message[2:10]); got != schema.CRC64() {
		t.Errorf("the message has the fingerprint %x, the schema %x", got, schema.CRC64())
	}
	got, err := schema.ToJSON(message[10:])
	if want := `{"id":42,"name":"Bill","tags":["dog_lover","cat_hater"]}`; err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

func must(t testing.TB, text string, refs ...Source) *Schema {
	t.Helper()
	s, err := Parse(Source{File: "test.avsc", Text: text}, refs...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}
