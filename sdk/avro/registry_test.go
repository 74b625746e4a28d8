package avro

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/dhowhq/dhow/contract/wire"
)

// inRegistry runs a test in a bubble of its own time, with a registry that has
// 1.0.0 of an order.
func inRegistry(t *testing.T, o RegistryOptions, test func(t *testing.T, f *fakeGlue, r *Registry)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeGlue{}
		f.add(&Version{Name: "shop/order", Version: "1.0.0", Definition: order10})
		r := NewRegistry(f, o)
		defer r.Close()
		test(t, f, r)
	})
}

func messageOf(v *Version, form wire.Form) []byte {
	in := anOrder()
	p := &Producer[map[string]any]{version: v, ref: must(v.Reference(form))}
	lines := []any{}
	for _, l := range in.Lines {
		lines = append(lines, map[string]any{"sku": l.SKU, "kind": l.Kind})
	}
	return must(p.Encode(&map[string]any{"id": in.ID, "total": in.Total, "sum": in.Total, "lines": lines, "note": nil, "remark": nil}))
}

func TestRegistry(t *testing.T) {
	inRegistry(t, RegistryOptions{}, func(t *testing.T, f *fakeGlue, r *Registry) {
		ctx := t.Context()
		p := must(NewProducer[Order10](ctx, r, "shop/order@^1"))
		c := must(NewConsumer[Order10](ctx, r, "shop/order@1.0.0"))
		if p.Version().Version != "1.0.0" || p.Reference() != (wire.Reference{Form: wire.Glue, UUID: f.versions[0].UUID}) {
			t.Errorf("%s, %s", p.Version(), p.Reference())
		}
		f.asked()
		for range 3 {
			if got, err := c.Decode(ctx, must(p.Encode(&Order10{ID: "x"}))); err != nil || got.ID != "x" {
				t.Error(got, err)
			}
		}
		if n := f.asked(); n != 0 {
			t.Errorf("%d calls for what is known", n)
		}
		// A version that came since, in each form, one call at most for all of them.
		v := f.add(&Version{Name: "shop/order", Version: "1.1.0", Definition: order11})
		for _, form := range []wire.Form{wire.Glue, wire.SingleObject} {
			if got, err := c.Decode(ctx, messageOf(v, form)); err != nil || got.ID != "o-1" {
				t.Errorf("%s: %+v, %v", form, got, err)
			}
			time.Sleep(3 * time.Second)
		}
		err := c.Read(ctx, wire.Message{Body: []byte(`{"dataschema":"shop/order@1.1.0","data":{"id":"e","total":1,"lines":[],"note":null}}`), Text: true}, new(Order10))
		if err != nil {
			t.Error(err)
		}
		if got := must(r.Select(ctx, must(ParseWanted("shop/order")))); got.Version != "1.1.0" {
			t.Errorf("the newest is %s", got)
		}
	})
}

// TestRegistryFresh has the first message of a version come right after its
// registration: whatever was asked before that, the consumer is not told that the
// version is unknown, which would be final.
func TestRegistryFresh(t *testing.T) {
	for _, form := range []wire.Form{wire.Glue, wire.SingleObject, wire.Named} {
		inRegistry(t, RegistryOptions{Refresh: -1}, func(t *testing.T, f *fakeGlue, r *Registry) {
			ctx := t.Context()
			c := must(NewConsumer[Order10](ctx, r, "shop/order", WithSchema(order10)))
			read := func(v *Version) error {
				m := wire.Message{Body: messageOf(v, form)}
				if form == wire.Named {
					m.Attribute = func(name string) string {
						return map[string]string{"dataschema": v.Name, "dataschemaversion": v.Version, "datacontenttype": wire.AvroBinary}[name]
					}
				}
				return c.Read(ctx, m, new(Order10))
			}
			unknown := must(parse(&Version{Name: "shop/order", Version: "7.0.0", UUID: newUUID(), Definition: strings.ReplaceAll(order11, "total", "sum")}))
			f.set(func() { f.delay = time.Second })
			var wg sync.WaitGroup
			wg.Go(func() { // asks for the newest version, and then what its semantic version is
				if err := read(unknown); !errors.Is(err, ErrUnknown) {
					t.Errorf("%s: an unknown version: %v", form, err)
				}
			})
			time.Sleep(1500 * time.Millisecond)
			v := f.add(&Version{Name: "shop/order", Version: "1.1.0", Definition: order11})
			if err := read(v); err != nil {
				t.Errorf("%s: while the versions are renewed: %v", form, err)
			}
			wg.Wait()
			v = f.add(&Version{Name: "shop/order", Version: "1.2.0", Definition: strings.ReplaceAll(order11, "note", "remark")})
			if err := read(v); err != nil {
				t.Errorf("%s: after the versions were renewed: %v", form, err)
			}
			f.asked()
			for range 100 {
				read(unknown)
			}
			if n := f.asked(); n > 1 {
				t.Errorf("%s: %d calls for 100 messages of an unknown version", form, n)
			}
		})
	}
}

// TestRegistryRefresh holds that a new version is known before its first message.
func TestRegistryRefresh(t *testing.T) {
	inRegistry(t, RegistryOptions{Refresh: time.Minute}, func(t *testing.T, f *fakeGlue, r *Registry) {
		ctx := t.Context()
		c := must(NewConsumer[Order10](ctx, r, "shop/order@1.0.0"))
		v := f.add(&Version{Name: "shop/order", Version: "1.1.0", Definition: order11})
		time.Sleep(61 * time.Second)
		synctest.Wait()
		f.asked()
		f.set(func() { f.fail = errors.New("connection refused") })
		if got, err := c.Decode(ctx, messageOf(v, wire.Glue)); err != nil || got.ID != "o-1" {
			t.Errorf("%+v, %v", got, err)
		}
		if n := f.asked(); n != 0 {
			t.Errorf("%d calls for a version that was there", n)
		}
		// A quiet hour costs one call a minute, not one for each version.
		f.set(func() { f.fail = nil })
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := f.asked(); n < 59 || n > 61 {
			t.Errorf("%d calls in an hour", n)
		}
	})
}

// TestRegistryOutage has the registry go away: what is known goes on, what is
// not gets an error that says so, soon and without a storm of calls.
func TestRegistryOutage(t *testing.T) {
	var told []error
	inRegistry(t, RegistryOptions{OnError: func(err error) { told = append(told, err) }}, func(t *testing.T, f *fakeGlue, r *Registry) {
		ctx := t.Context()
		c := must(NewConsumer[Order10](ctx, r, "shop/order@^1"))
		v := f.add(&Version{Name: "shop/order", Version: "1.1.0", Definition: order11})
		down := errors.New("connection refused")
		f.set(func() { f.fail = down })
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if len(told) < 1400 || !errors.Is(told[0], down) || !strings.Contains(told[0].Error(), "renewing the versions of shop/order") {
			t.Errorf("told of %d errors, %v", len(told), told[:1])
		}
		if got, err := c.Decode(ctx, messageOf(f.versions[0], wire.Glue)); err != nil || got.ID != "o-1" {
			t.Errorf("what was known a day ago: %+v, %v", got, err)
		}
		for _, form := range []wire.Form{wire.Glue, wire.SingleObject} {
			f.asked()
			for range 100 {
				_, err := c.Decode(ctx, messageOf(v, form))
				if !errors.Is(err, down) || errors.Is(err, ErrUnknown) {
					t.Fatal(err)
				}
			}
			if n := f.asked(); n > 1 {
				t.Errorf("%s: %d calls for 100 messages", form, n)
			}
		}
		if _, err := NewConsumer[Order10](ctx, NewRegistry(f, RegistryOptions{Refresh: -1}), "shop/order@^1"); !errors.Is(err, down) || !strings.Contains(err.Error(), "a consumer of shop/order@^1") {
			t.Errorf("a start during an outage: %v", err)
		}
		f.set(func() { f.fail = nil })
		time.Sleep(2 * time.Second)
		if got, err := c.Decode(ctx, messageOf(v, wire.Glue)); err != nil || got.ID != "o-1" {
			t.Errorf("after the outage: %+v, %v", got, err)
		}
	})
}

// TestRegistrySlow has a registry that hangs: no caller waits for longer than
// the time set, nor longer than it wants to.
func TestRegistrySlow(t *testing.T) {
	inRegistry(t, RegistryOptions{Timeout: 5 * time.Second}, func(t *testing.T, f *fakeGlue, r *Registry) {
		ctx := t.Context()
		c := must(NewConsumer[Order10](ctx, r, "shop/order@^1"))
		f.set(func() { f.delay = time.Hour })
		time.Sleep(61 * time.Second) // a renewal in the background hangs as well
		for _, form := range []wire.Form{wire.Glue, wire.SingleObject} {
			v := must(parse(&Version{Name: "shop/order", UUID: newUUID(), Definition: order11}))
			begin := time.Now()
			_, err := c.Decode(ctx, messageOf(v, form))
			if took := time.Since(begin); took > 5*time.Second || err == nil || !strings.Contains(err.Error(), "the registry did not answer within 5s") {
				t.Errorf("%s: after %s: %v", form, took, err)
			}
		}
		v := must(parse(&Version{Name: "shop/order", UUID: newUUID(), Definition: order11}))
		begin := time.Now()
		brief, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		_, err := c.Decode(brief, messageOf(v, wire.Glue))
		if took := time.Since(begin); took != 100*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %s: %v", took, err)
		}
		if got, err := c.Decode(ctx, messageOf(f.versions[0], wire.Glue)); err != nil || got.ID != "o-1" {
			t.Errorf("what is known: %+v, %v", got, err)
		}
		time.Sleep(time.Minute)
	})
}

// TestRegistryCrowd has many meet a new version at once.
func TestRegistryCrowd(t *testing.T) {
	inRegistry(t, RegistryOptions{Refresh: -1}, func(t *testing.T, f *fakeGlue, r *Registry) {
		c := must(NewConsumer[Order10](t.Context(), r, "shop/order@^1"))
		v := f.add(&Version{Name: "shop/order", Version: "1.1.0", Definition: order11})
		f.set(func() { f.delay = time.Second })
		f.asked()
		var wg sync.WaitGroup
		wg.Go(func() { // who asks first gives up; the others still get the answer
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if _, err := c.Decode(ctx, messageOf(v, wire.Glue)); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 1000 {
			wg.Go(func() {
				if _, err := c.Decode(t.Context(), messageOf(v, wire.Glue)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := f.asked(); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

// TestRegistryLies has answers that do not fit the question: none is believed,
// and what is known stays.
func TestRegistryLies(t *testing.T) {
	for says, lie := range map[string]func(*glue.GetSchemaVersionOutput){
		"version 01020300": func(o *glue.GetSchemaVersionOutput) {
			o.SchemaVersionId = aws.String("01020300-0000-0000-0000-000000000000")
		},
		"not of shop/order": func(o *glue.GetSchemaVersionOutput) {
			o.SchemaArn = aws.String("arn:aws:glue:us-east-1:000000000000:schema/shop/refund")
		},
		"does not parse": func(o *glue.GetSchemaVersionOutput) { o.SchemaDefinition = aws.String(`{"type":"record"`) },
		"longer than": func(o *glue.GetSchemaVersionOutput) {
			o.SchemaDefinition = aws.String(strings.Repeat(" ", MaxDefinition) + order11)
		},
		"format is JSON":    func(o *glue.GetSchemaVersionOutput) { o.DataFormat = types.DataFormatJson },
		"failed its checks": func(o *glue.GetSchemaVersionOutput) { o.Status = types.SchemaVersionStatusFailure },
		"still being":       func(o *glue.GetSchemaVersionOutput) { o.Status = types.SchemaVersionStatusPending },
		"it lacks":          func(o *glue.GetSchemaVersionOutput) { o.SchemaDefinition = nil },
		"it is of \"x\"":    func(o *glue.GetSchemaVersionOutput) { o.SchemaArn = aws.String("x") },
	} {
		inRegistry(t, RegistryOptions{Refresh: time.Minute}, func(t *testing.T, f *fakeGlue, r *Registry) {
			ctx := t.Context()
			c := must(NewConsumer[Order10](ctx, r, "shop/order@^1"))
			v := f.add(&Version{Name: "shop/order", Version: "1.1.0", Definition: order11})
			f.set(func() { f.lie = lie })
			if _, err := c.Decode(ctx, messageOf(v, wire.Glue)); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("want %q: %v", says, err)
			}
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			if got, err := c.Decode(ctx, messageOf(f.versions[0], wire.Glue)); err != nil || got.ID != "o-1" {
				t.Errorf("%s: what was known: %+v, %v", says, got, err)
			}
			if got := must(r.Select(ctx, must(ParseWanted("shop/order")))); got.Version != "1.0.0" {
				t.Errorf("%s: the newest is %s", says, got)
			}
		})
	}
}

// TestRegistryFingerprint holds that a fingerprint is never answered with a
// definition of another one, whatever the registry sends.
func TestRegistryFingerprint(t *testing.T) {
	inRegistry(t, RegistryOptions{Refresh: -1}, func(t *testing.T, f *fakeGlue, r *Registry) {
		ctx := t.Context()
		v := f.add(&Version{Name: "shop/order", Version: "1.1.0", Definition: order11})
		f.set(func() { f.lie = func(o *glue.GetSchemaVersionOutput) { o.SchemaDefinition = aws.String(order20) } })
		got, err := r.Find(ctx, "shop/order", must(v.Reference(wire.SingleObject)))
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// TestRegistryHistory has gaps, versions without a number, and more versions
// than are looked through.
func TestRegistryHistory(t *testing.T) {
	inRegistry(t, RegistryOptions{Refresh: time.Minute, Depth: 5}, func(t *testing.T, f *fakeGlue, r *Registry) {
		ctx := t.Context()
		f.add(&Version{Name: "shop/order", Version: "1.1.0", Definition: order11})
		f.add(&Version{Name: "shop/order", Definition: order10})
		f.add(&Version{Name: "shop/order", Version: "2.0.0", Definition: order20})
		f.add(&Version{Name: "shop/order", Version: "3.0.0", Definition: order20})
		f.set(func() {
			f.versions[3] = nil
			f.status = map[int]types.SchemaVersionStatus{5: types.SchemaVersionStatusPending}
		})
		if v := must(r.Select(ctx, must(ParseWanted("shop/order")))); v.Version != "1.1.0" {
			t.Errorf("the newest is %s", v)
		}
		f.set(func() { f.status = nil })
		f.asked()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if n := f.asked(); n != 3 { // the newest, and what it is in two pages; the gap is not asked for again
			t.Errorf("%d calls", n)
		}
		if v := must(r.Select(ctx, must(ParseWanted("shop/order@^3")))); v.Version != "3.0.0" {
			t.Error(v)
		}
		for range 10 {
			f.add(&Version{Name: "shop/order", Version: "4.0.0", Definition: order20})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, err := r.Select(ctx, must(ParseWanted("shop/order@^1"))); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "newest 5 versions") {
			t.Error(err)
		}
		if _, err := r.Find(ctx, "shop/order", wire.Reference{Form: wire.Glue, UUID: f.versions[1].UUID}); err != nil {
			t.Errorf("an old version by its id: %v", err)
		}
		if _, err := r.Find(ctx, "shop/order", wire.Reference{Form: wire.Confluent, ID: 1}); !errors.Is(err, ErrUnknown) {
			t.Error(err)
		}
	})
}

// TestNegativeCache holds that what is unknown is asked for once, for a while.
func TestNegativeCache(t *testing.T) {
	inRegistry(t, RegistryOptions{Retry: 2 * time.Second, Refresh: -1}, func(t *testing.T, f *fakeGlue, r *Registry) {
		ctx := t.Context()
		v := must(parse(&Version{Name: "shop/order", Version: "1.1.0", UUID: newUUID(), Definition: order11}))
		ref := must(v.Reference(wire.Glue))
		for range 10 {
			if _, err := r.Find(ctx, "shop/order", ref); !errors.Is(err, ErrUnknown) {
				t.Fatal(err)
			}
		}
		if n := f.asked(); n != 1 {
			t.Errorf("%d calls", n)
		}
		f.add(v)
		time.Sleep(2 * time.Second)
		if got, err := r.Find(ctx, "shop/order", ref); err != nil || got.UUID != v.UUID {
			t.Error(got, err)
		}
		for range 3 * maxRefused {
			r.Find(ctx, "shop/order", wire.Reference{Form: wire.Glue, UUID: newUUID()})
		}
		if n := len(r.refused.until); n > maxRefused {
			t.Errorf("%d refusals are remembered", n)
		}
	})
}
