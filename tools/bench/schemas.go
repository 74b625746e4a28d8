package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

var glueAPI = service{"AWSGlue", "glue"}

// measureSchemas measures what schemas of messages cost: in the packages, by
// their benchmarks, and in a registry that runs.
func measureSchemas(ctx context.Context, b *bench) error {
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("%w: no go", errSkipped)
	}
	for _, measure := range []func(context.Context, *table) error{measureCodec, measureCached, measureChecks} {
		if err := measure(ctx, &b.table); err != nil {
			return err
		}
	}
	return measureRegistry(ctx, b)
}

// benchmarks runs those of a package and returns a metric's value in each run.
func benchmarks(ctx context.Context, pkg, pattern string) (func(name, metric string) ([]float64, error), error) {
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", pattern, "-benchtime", "300ms", "-count", "5", pkg).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("benchmarks of %s: %w\n%s", pkg, err, out)
	}
	return func(name, metric string) (all []float64, err error) {
		for _, m := range allMetricsOf(string(out), name) {
			if m[metric] == 0 {
				return nil, fmt.Errorf("%s of %s says no %s:\n%s", name, pkg, metric, out)
			}
			all = append(all, m[metric])
		}
		if len(all) == 0 {
			return nil, fmt.Errorf("%s of %s did not run:\n%s", name, pkg, out)
		}
		return all, nil
	}, nil
}

// measureCodec holds sdk/avro against the library below it.
func measureCodec(ctx context.Context, t *table) error {
	const bar = 1.1
	of, err := benchmarks(ctx, "./sdk/avro", "^Benchmark(Encode|EncodeAlone|Decode|DecodeInto)$")
	if err != nil {
		return err
	}
	for _, r := range [][2]string{
		{"BenchmarkEncode", "encode, appended"}, {"BenchmarkEncodeAlone", "encode"},
		{"BenchmarkDecode", "decode"}, {"BenchmarkDecodeInto", "decode into a value"},
	} {
		ours, err := of(r[0], "ours-ns")
		if err != nil {
			return err
		}
		floor, err := of(r[0], "floor-ns")
		if err != nil {
			return err
		}
		ratio := shares(ratios(ours, floor))
		t.add("sdk/avro: "+r[1], nano(ours), "twmb/avro alone "+nano(floor), ratio.String(), fmt.Sprintf("≤ %.1f ×", bar), verdict(median(ratio) <= bar))
	}
	return nil
}

// measureCached looks schemas up that were looked up before.
func measureCached(ctx context.Context, t *table) error {
	const bar = 50.0 // ns
	sdk, err := benchmarks(ctx, "./sdk/avro", "^BenchmarkLookup(Named)?$")
	if err != nil {
		return err
	}
	registry, err := benchmarks(ctx, "./contract/registry", "^BenchmarkLookup$")
	if err != nil {
		return err
	}
	floor, err := registry("BenchmarkLookup/floor", "ns/op")
	if err != nil {
		return err
	}
	for _, r := range []struct {
		what, name string
		of         func(name, metric string) ([]float64, error)
	}{
		{"sdk/avro: a message's schema, cached", "BenchmarkLookup", sdk},
		{"sdk/avro: the same by name and version", "BenchmarkLookupNamed", sdk},
		{"registry: version by id, cached", "BenchmarkLookup/id", registry},
		{"registry: version by name and number, cached", "BenchmarkLookup/number", registry},
		{"registry: version by name and range, cached", "BenchmarkLookup/range", registry},
	} {
		ours, err := r.of(r.name, "ns/op")
		if err != nil {
			return err
		}
		t.add(r.what, nano(ours), "a map of UUIDs "+nano(floor), fmt.Sprintf("%.0f ns", median(ours)), fmt.Sprintf("≤ %.0f ns", bar), verdict(median(ours) <= bar))
	}
	return nil
}

// measureChecks holds schemas against each other, and messages against one.
func measureChecks(ctx context.Context, t *table) error {
	const versions, message = 20 * time.Millisecond, 2 * time.Microsecond
	of, err := benchmarks(ctx, "./contract/avro", "^Benchmark(CanRead|Validate)$")
	if err != nil {
		return err
	}
	var times [5][]float64
	for i, name := range []string{"CanRead/100-versions", "CanRead/parse-one", "Validate/walk", "Validate/twmb-any", "Validate/twmb-struct"} {
		if times[i], err = of("Benchmark"+name, "ns/op"); err != nil {
			return err
		}
	}
	row := func(what string, ours []float64, other string, say func(time.Duration) string, bar time.Duration) {
		took := time.Duration(median(ours))
		t.add(what, nano(ours), other, say(took), "≤ "+say(bar), verdict(took <= bar))
	}
	row("compatibility of 200 fields with 100 versions, both ways", times[0], "parsing one "+nano(times[1]), ms, versions)
	row("validate a message of 12 fields, 256 bytes", times[2], "twmb/avro decodes it in "+nano(times[3])+", into a struct "+nano(times[4]), micro, message)
	return nil
}

// nano prints nanoseconds as their median and range.
func nano(values []float64) string {
	unit, by := "ns", 1.0
	switch m := median(values); {
	case m >= 1e6:
		unit, by = "ms", 1e6
	case m >= 1e4:
		unit, by = "µs", 1e3
	}
	return fmt.Sprintf("%.1f %s (%.1f–%.1f)", median(values)/by, unit, quantile(values, 0)/by, quantile(values, 1)/by)
}

// measureRegistry fills a registry, asks it for versions, and starts it anew.
func measureRegistry(ctx context.Context, b *bench) (err error) {
	port, err := freePort()
	if err != nil {
		return err
	}
	full := &restart{bin: b.bin, listen: "127.0.0.1:" + port, dir: filepath.Join(b.dir, "schemas")}
	empty := &restart{bin: b.bin, listen: full.listen, dir: filepath.Join(b.dir, "schemas-none")}
	defer func() {
		for _, r := range []*restart{full, empty} {
			if downErr := r.down(); err == nil {
				err = downErr
			}
		}
	}()
	if err := empty.start(ctx); err != nil {
		return err
	}
	if err := empty.stop(); err != nil {
		return err
	}
	if err := full.start(ctx); err != nil {
		return err
	}
	ids, took, err := fillSchemas(ctx, full.p.url)
	if err != nil {
		return err
	}
	if err := measureAsked(ctx, &b.table, full.p, ids); err != nil {
		return err
	}
	return measureStarts(ctx, &b.table, empty, full, took, ids[0])
}

const (
	schemaCount  = 10_000
	versionCount = 10 // of each
	schemaFields = `"fields":[{"name":"id","type":"string"},{"name":"customer","type":"string"},{"name":"total","type":"long"},{"name":"tax","type":"long"},` +
		`{"name":"currency","type":"string"},{"name":"address","type":"string"},{"name":"city","type":"string"},{"name":"country","type":"string"},` +
		`{"name":"note","type":["null","string"],"default":null},{"name":"placed","type":"long"},{"name":"shipped","type":["null","long"],"default":null},{"name":"gift","type":"boolean"}]`
)

// fillSchemas registers schemas and their versions by the API, and returns the
// UUIDs of some.
func fillSchemas(ctx context.Context, url string) (ids []string, took time.Duration, err error) {
	conns := dial(ctx, url, connections)
	defer hangUp(conns)
	ask := func(c *conn, op string, in map[string]any) (out struct{ SchemaVersionId, Status, SchemaVersionStatus string }, err error) {
		body, err := json.Marshal(in)
		if err != nil {
			return out, err
		}
		answer, err := c.do(glueAPI.request(op, string(body)))
		if err != nil {
			return out, err
		}
		return out, json.Unmarshal(answer, &out)
	}
	if _, err := ask(conns[0], "CreateRegistry", map[string]any{"RegistryName": "many"}); err != nil {
		return nil, 0, err
	}
	found, began := make([][]string, connections), time.Now()
	err = together(connections, func(i int) error {
		for n := i; n < schemaCount; n += connections {
			name := fmt.Sprintf("schema%05d", n)
			for v := range versionCount {
				text := fmt.Sprintf(`{"type":"record","name":"Order","doc":"Version %d of %s.",%s}`, v, name, schemaFields)
				op, in := "RegisterSchemaVersion", map[string]any{"SchemaId": map[string]any{"RegistryName": "many", "SchemaName": name}, "SchemaDefinition": text}
				if v == 0 {
					op, in = "CreateSchema", map[string]any{"RegistryId": map[string]any{"RegistryName": "many"}, "SchemaName": name, "DataFormat": "AVRO", "Compatibility": "BACKWARD", "SchemaDefinition": text}
				}
				out, err := ask(conns[i], op, in)
				if err == nil && out.Status != "AVAILABLE" && out.SchemaVersionStatus != "AVAILABLE" {
					err = fmt.Errorf("%s of %s: %+v", op, name, out)
				}
				if err != nil {
					return err
				}
				if n < 10*connections {
					found[i] = append(found[i], out.SchemaVersionId)
				}
			}
		}
		return nil
	})
	for _, f := range found {
		ids = append(ids, f...)
	}
	return ids, time.Since(began), err
}

// measureAsked asks for versions by their UUIDs, beside a handler of net/http
// that writes one such answer without looking at the request.
func measureAsked(ctx context.Context, t *table, p *platform, ids []string) error {
	const bar, turns = 20_000.0, 8
	requests := make([][]byte, len(ids))
	for i, id := range ids {
		requests[i] = glueAPI.request("GetSchemaVersion", fmt.Sprintf(`{"SchemaVersionId": "%s"}`, id))
	}
	res, err := askOnce(ctx, p.url, glueAPI, "GetSchemaVersion", fmt.Sprintf(`{"SchemaVersionId": "%s"}`, ids[0]))
	if err != nil {
		return err
	}
	bare, url, err := startBare(res)
	if err != nil {
		return err
	}
	defer bare.stop()
	asking := func(url string, pid int) *side {
		conns, next := dial(ctx, url, connections), make([]int, connections)
		return &side{pid: pid, do: func(i int) (int, error) {
			next[i] += 7
			answer, err := conns[i].do(requests[(next[i]+i)%len(requests)])
			if err == nil && !bytes.Contains(answer, []byte(`"SchemaDefinition"`)) {
				err = fmt.Errorf("GetSchemaVersion: %s", answer)
			}
			return 1, err
		}}
	}
	ours, floor := asking(p.url, p.pid()), asking(url, bare.cmd.Process.Pid)
	if err := race(ctx, turns, time.Second, ours, floor); err != nil {
		return err
	}
	t.add("GetSchemaVersion of 1,600 in turn, 100,000 there", ours.count("calls"), "bare net/http "+floor.count("calls"),
		fmt.Sprintf("%.0f/s, %s", median(ours.rates), ours.per(floor)), fmt.Sprintf("≥ %.0f/s", bar), verdict(median(ours.rates) >= bar))
	return nil
}

// askOnce makes a call and returns the answer.
func askOnce(ctx context.Context, url string, s service, op, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for _, h := range s.headers(op) {
		req.Header.Set(h[0], h[1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", op, res.Status, answer)
	}
	res.Body = io.NopCloser(bytes.NewReader(answer))
	return res, err
}

// measureStarts starts both in turns, after one start of each that warms. A
// version is asked for at once: it may have to wait for the registry.
func measureStarts(ctx context.Context, t *table, empty, full *restart, filled time.Duration, id string) error {
	const bar, turns = time.Second, 5
	if err := full.stop(); err != nil {
		return err
	}
	took := map[*restart][]time.Duration{}
	var first []time.Duration
	for n := range turns + 1 {
		for _, r := range []*restart{empty, full} {
			if err := r.start(ctx); err != nil {
				return err
			}
			if r == full {
				began := time.Now()
				if _, err := askOnce(ctx, r.p.url, glueAPI, "GetSchemaVersion", fmt.Sprintf(`{"SchemaVersionId": "%s"}`, id)); err != nil {
					return err
				}
				first = append(first, time.Since(began))
			}
			if n > 0 {
				took[r] = append(took[r], r.took)
			}
			if err := r.stop(); err != nil {
				return err
			}
		}
	}
	adds := median(took[full]) - median(took[empty])
	t.add(fmt.Sprintf("start with %d schema versions (made in %s)", schemaCount*versionCount, filled.Round(time.Second)),
		fmt.Sprintf("%s (%s–%s); the first version asked for %s later", ms(median(took[full])), ms(quantile(took[full], 0)), ms(quantile(took[full], 1)), ms(median(first[1:]))),
		fmt.Sprintf("without %s (%s–%s)", ms(median(took[empty])), ms(quantile(took[empty], 0)), ms(quantile(took[empty], 1))),
		"+"+ms(adds), "≤ +"+ms(bar), verdict(adds <= bar))
	return nil
}

// restart is a platform that is stopped and started over its data.
type restart struct {
	bin, listen, dir string
	p                *platform     // nil while it is stopped
	took             time.Duration // of the last start
}

func (r *restart) start(ctx context.Context) (err error) {
	r.p, r.took, err = start(ctx, r.bin, r.listen, r.dir)
	return err
}

func (r *restart) stop() error {
	p := r.p
	r.p = nil
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.cmd.Wait()
}

// down stops it and removes what outlives it.
func (r *restart) down() error {
	if r.p != nil {
		return r.p.down()
	}
	if out, err := exec.Command(r.bin, "down", "--data-dir", r.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("dhow down: %w\n%s", err, out)
	}
	return nil
}
