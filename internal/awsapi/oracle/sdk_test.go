package oracle

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecsdoc "github.com/aws/aws-sdk-go-v2/service/ecs/document"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/internal/awsapi/model"
)

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	flag.Set("rapid.nofailfile", "true")
	if !given { // rapid's default of 100, times 600 operations, takes minutes
		flag.Set("rapid.checks", "6")
	}
	os.Exit(m.Run())
}

// face is a served service: how to make a client, and the values its wire
// cannot carry.
type face struct {
	model    string
	client   func(aws.Config) any
	registry *smithy.TypeRegistry // errors; older packages have none
	errors   []error
	except   []string // operations whose input the SDK makes itself in part
	unions   []any    // which only requests carry
	variants []any    // of unions, for random values
	document func(any) any
}

// faces are the services that dhow serves, and one of each further protocol.
var faces = []face{
	{model: "ecs", client: func(c aws.Config) any { return ecs.NewFromConfig(c) }, registry: ecs.TypeRegistry,
		document: func(v any) any { return ecsdoc.NewLazyDocument(v) }},
	{model: "ecr", client: func(c aws.Config) any { return ecr.NewFromConfig(c) }, registry: ecr.TypeRegistry},
	{model: "logs", client: func(c aws.Config) any { return cloudwatchlogs.NewFromConfig(c) }, registry: cloudwatchlogs.TypeRegistry,
		unions:   []any{&logstypes.ResourceConfigMemberOpenSearchResourceConfig{}},
		variants: []any{&logstypes.ResourceConfigMemberOpenSearchResourceConfig{}, &logstypes.IntegrationDetailsMemberOpenSearchIntegrationDetails{}}},
	{model: "elbv2", client: func(c aws.Config) any { return elbv2.NewFromConfig(c) }, errors: elbErrors},
	{model: "sts", client: func(c aws.Config) any { return sts.NewFromConfig(c) }, errors: stsErrors},
	{model: "ec2", client: func(c aws.Config) any { return ec2.NewFromConfig(c) }, except: []string{"CopySnapshot"}},
	{model: "sqs", client: func(c aws.Config) any {
		return sqs.NewFromConfig(c, func(o *sqs.Options) { o.DisableMessageChecksumValidation = true })
	}, registry: sqs.TypeRegistry},
	{model: "cloudwatch", client: func(c aws.Config) any { return cloudwatch.NewFromConfig(c) }, registry: cloudwatch.TypeRegistry,
		variants: []any{&cwtypes.EvaluationCriteriaMemberPromQLCriteria{}, &cwtypes.EvaluationWindowMemberSlidingWindow{}, &cwtypes.EvaluationWindowMemberWallClockWindow{}}},
	{model: "lambda", client: func(c aws.Config) any { return lambda.NewFromConfig(c) }, registry: lambda.TypeRegistry},
	{model: "route53", client: func(c aws.Config) any { return route53.NewFromConfig(c) }, errors: route53Errors},
}

// config is a client's configuration in which every host is the server.
func config(server *httptest.Server) aws.Config {
	addr := server.Listener.Addr().String()
	transport := &http.Transport{MaxIdleConnsPerHost: 4, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
	return aws.Config{
		Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("210987654321", "secret", ""),
		BaseEndpoint: aws.String("http://dhow.test"), HTTPClient: &http.Client{Transport: transport},
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// echo is a service whose handlers hand their input to the test and return
// what the test wants.
type echo struct {
	in   any
	has  map[string]bool
	out  any
	fail error
}

func (e *echo) handler(op string, method reflect.Type) any {
	in, out := method.In(1), method.Out(0)
	t := reflect.FuncOf([]reflect.Type{reflect.TypeFor[context.Context](), in}, []reflect.Type{out, reflect.TypeFor[error]()}, false)
	return reflect.MakeFunc(t, func(args []reflect.Value) []reflect.Value {
		e.in = args[1].Interface()
		drain(args[1].Elem())
		e.has = map[string]bool{}
		for i := range in.Elem().NumField() {
			name := in.Elem().Field(i).Name
			for _, spelling := range []string{name, strings.ToLower(name[:1]) + name[1:]} {
				e.has[name] = e.has[name] || awsapi.Has(args[0].Interface().(context.Context), spelling)
			}
		}
		if e.fail != nil {
			return []reflect.Value{reflect.Zero(out), reflect.ValueOf(&e.fail).Elem()}
		}
		return []reflect.Value{reflect.ValueOf(e.out), reflect.Zero(reflect.TypeFor[error]())}
	}).Interface()
}

// operations are the client's methods that are operations of the model and no
// event streams.
func operations(t *testing.T, f face, client any) map[string]reflect.Value {
	info, ok := model.Lookup(f.model)
	if !ok {
		t.Fatalf("no model %s", f.model)
	}
	m, err := model.Load(f.model)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]reflect.Value{}
	for _, name := range info.Ops {
		if slices.Contains(f.except, name) {
			continue
		}
		op := m.Op(name)
		if op.Output >= 0 {
			stream := false
			for _, member := range m.Shapes[op.Output].Members {
				stream = stream || m.Shapes[member.Shape].Stream
			}
			if stream {
				continue
			}
		}
		method := reflect.ValueOf(client).MethodByName(name)
		if !method.IsValid() {
			t.Logf("%s: the SDK has no %s", f.model, name)
			continue
		}
		out[name] = method
	}
	return out
}

// TestSDK sends a random input of every operation of every service through
// the SDK's serializer and expects the handler to get it unchanged; a random
// output goes the way back, and then an error.
func TestSDK(t *testing.T) {
	for _, f := range faces {
		t.Run(f.model, func(t *testing.T) {
			t.Parallel()
			e := &echo{}
			handlers := awsapi.Handlers{}
			for name, method := range operations(t, f, f.client(aws.Config{})) {
				handlers[name] = e.handler(name, method.Type())
			}
			s, err := awsapi.New(awsapi.Config{SkipConstraints: true, MaxBody: 64 << 20}, awsapi.Service{Model: f.model, API: handlers, Unions: f.unions})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(); err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(s)
			defer server.Close()
			ops := operations(t, f, f.client(config(server)))
			for name, method := range ops {
				t.Run(name, func(t *testing.T) { roundTrip(t, f, e, name, method) })
			}
		})
	}
}

func roundTrip(t *testing.T, f face, e *echo, name string, method reflect.Value) {
	m, err := model.Load(f.model)
	if err != nil {
		t.Fatal(err)
	}
	op := m.Op(name)
	g := newGenerator(m, f)
	rapid.Check(t, func(rt *rapid.T) {
		in := reflect.New(method.Type().In(1).Elem())
		if op.Input >= 0 {
			g.fill(rt, in.Elem(), op.Input, true)
		}
		out := reflect.New(method.Type().Out(0).Elem())
		if op.Output >= 0 {
			g.fill(rt, out.Elem(), op.Output, false)
		}
		e.in, e.out, e.fail = nil, out.Interface(), nil
		results := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
		if err, _ := results[1].Interface().(error); err != nil {
			rt.Fatalf("%s: %v\ninput %s\noutput %s", name, err, dump(in), dump(out))
		}
		if e.in == nil {
			rt.Fatal("the handler was not called")
		}
		lenient := m.Info.Protocols[0] != "json" && m.Info.Protocols[0] != "smithy-rpc-v2-cbor"
		if d := diff(in, reflect.ValueOf(e.in), lenient); d != "" {
			rt.Fatalf("input of %s: %s\nsent %s\ngot  %s", name, d, dump(in), dump(reflect.ValueOf(e.in)))
		}
		drain(results[0].Elem())
		if d := diff(out, results[0], lenient); d != "" {
			rt.Fatalf("output of %s: %s\nsent %s\ngot  %s", name, d, dump(out), dump(results[0]))
		}
		presence(rt, e, in.Elem())
		checkCode(rt, e, method, in)
	})
}

// presence checks that Has is true for every member that was sent by pointer,
// and false for those that were not.
func presence(rt *rapid.T, e *echo, in reflect.Value) {
	for i := range in.NumField() {
		f, v := in.Type().Field(i), in.Field(i)
		if f.IsExported() && v.Kind() == reflect.Pointer && e.has[f.Name] != !v.IsNil() {
			rt.Fatalf("Has(%s) is %v", f.Name, e.has[f.Name])
		}
	}
}

// TestSDKErrors sends every typed error of every service and expects the SDK
// to make the same of it.
func TestSDKErrors(t *testing.T) {
	for _, f := range faces {
		typed := f.errors
		if f.registry != nil {
			for _, entry := range f.registry.Entries {
				if err, ok := entry.New().(error); ok {
					typed = append(typed, err)
				}
			}
		}
		t.Run(f.model, func(t *testing.T) {
			e := &echo{}
			ops := operations(t, f, f.client(aws.Config{}))
			handlers := awsapi.Handlers{}
			for name, method := range ops {
				handlers[name] = e.handler(name, method.Type())
			}
			s, err := awsapi.New(awsapi.Config{SkipConstraints: true}, awsapi.Service{Model: f.model, API: handlers, Unions: f.unions})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(s)
			defer server.Close()
			ops = operations(t, f, f.client(config(server)))
			m, err := model.Load(f.model)
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range typed {
				checkError(t, m, f, e, ops, reflect.TypeOf(err).Elem())
			}
			if len(typed) == 0 && f.model != "ec2" { // which has none
				t.Error("no errors were tried")
			}
		})
	}
}

// checkCode answers with an error that no model has a type for: code, sentence
// and status come back, whatever the protocol.
func checkCode(rt *rapid.T, e *echo, method, in reflect.Value) {
	want := awsapi.Error{Code: "Invalid.Thing.NotFound", Status: rapid.SampledFrom([]int{400, 404, 503}).Draw(rt, "status"),
		Message: rapid.SampledFrom([]string{"The thing '<1>' & \"2\" does not exist: ü", "Two\nlines."}).Draw(rt, "message")}
	e.fail = &want
	results := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
	err, _ := results[1].Interface().(error)
	var api smithy.APIError
	var response interface{ HTTPStatusCode() int }
	var of interface{ ServiceRequestID() string }
	switch {
	case !errors.As(err, &api) || !errors.As(err, &response) || !errors.As(err, &of):
		rt.Fatalf("%s came back as %v", want.Code, err)
	case api.ErrorCode() != want.Code || api.ErrorMessage() != want.Message || response.HTTPStatusCode() != want.Status || len(of.ServiceRequestID()) != 36:
		rt.Fatalf("%s: %q, status %d, came back as %s: %q, status %d, of request %q", want.Code, want.Message, want.Status,
			api.ErrorCode(), api.ErrorMessage(), response.HTTPStatusCode(), of.ServiceRequestID())
	}
}

// checkError sends an error of that type from an operation that lists it.
func checkError(t *testing.T, m *model.Model, f face, e *echo, ops map[string]reflect.Value, typ reflect.Type) {
	name := typ.Name()
	for _, op := range m.Ops {
		for _, i := range op.Errors {
			if m.Shapes[i].Name != name || !ops[op.Name].IsValid() {
				continue
			}
			g := newGenerator(m, f)
			rapid.Check(t, func(rt *rapid.T) {
				fail := reflect.New(typ).Interface().(error)
				g.fill(rt, reflect.ValueOf(fail).Elem(), i, false)
				in := reflect.New(ops[op.Name].Type().In(1).Elem())
				if op.Input >= 0 {
					g.fill(rt, in.Elem(), op.Input, true)
				}
				e.fail = fail
				results := ops[op.Name].Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
				err, _ := results[1].Interface().(error)
				got := reflect.New(reflect.TypeOf(fail))
				if !errors.As(err, got.Interface()) {
					rt.Fatalf("%s came back as %v", name, err)
				}
				messages(fail, got.Elem().Interface())
				if d := diff(reflect.ValueOf(fail), got.Elem(), true); d != "" {
					rt.Fatalf("%s: %s", name, d)
				}
			})
			return
		}
	}
}

// messages forgives an absent message for an empty one, and the code that
// older services repeat in the error.
func messages(sent, got any) {
	for _, v := range []any{sent, got} {
		s := reflect.ValueOf(v).Elem()
		if m := s.FieldByName("Message"); m.IsValid() && m.Kind() == reflect.Pointer && m.IsNil() {
			m.Set(reflect.ValueOf(aws.String("")))
		}
		if c := s.FieldByName("ErrorCodeOverride"); c.IsValid() {
			c.SetZero()
		}
	}
}

func dump(v reflect.Value) string {
	var b strings.Builder
	show(&b, v)
	return b.String()
}

func show(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			b.WriteString("nil")
			return
		}
		show(b, v.Elem())
	case reflect.Struct:
		if v.Type().String() == "time.Time" {
			fmt.Fprint(b, v.Interface())
			return
		}
		b.WriteString(v.Type().Name() + "{")
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.IsExported() && f.Name != "ResultMetadata" && !v.Field(i).IsZero() {
				b.WriteString(f.Name + ":")
				show(b, v.Field(i))
				b.WriteString(" ")
			}
		}
		b.WriteString("}")
	case reflect.String:
		fmt.Fprintf(b, "%q", v.String())
	case reflect.Slice, reflect.Array:
		b.WriteString("[")
		for i := range v.Len() {
			show(b, v.Index(i))
			b.WriteString(" ")
		}
		b.WriteString("]")
	default:
		fmt.Fprintf(b, "%v", v)
	}
}
