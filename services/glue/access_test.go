package glue

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/identity"
	"github.com/dhowhq/dhow/identity/policy"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store/storetest"
)

const names = "arn:aws:glue:eu-west-1:" + account + ":"

// roles are policies by access key: who has one there is that role. Others may
// do everything.
type roles map[string]string

func (r roles) Authorize(_ *http.Request, c *awsapi.Call) error {
	text, limited := r[c.AccessKey]
	c.Account, c.Principal = account, "arn:aws:sts::"+account+":assumed-role/"+c.AccessKey+"/1"
	if !limited {
		return nil
	}
	d, err := policy.ParseIdentity(text)
	identity.Limit(c, func() policy.Documents { return policy.Documents{d} })
	return err
}

// TestPermitEvery holds what is asked for each operation that is served.
func TestPermitEvery(t *testing.T) {
	e := registry.New(registry.Config{DB: storetest.Open(t)})
	defer e.Close()
	a := &API{e: e}
	var asked []string
	call := &awsapi.Call{Account: account, Region: "eu-west-1", Allow: func(action, resource string) error {
		asked = append(asked, action+" "+resource)
		return nil
	}}
	ctx := awsapi.WithCall(t.Context(), call)
	if _, err := a.CreateRegistry(ctx, &glue.CreateRegistryInput{RegistryName: ptr("shop")}); err != nil {
		t.Fatal(err)
	}
	shop := &types.RegistryId{RegistryName: ptr("shop")}
	made, err := a.CreateSchema(ctx, &glue.CreateSchemaInput{RegistryId: shop, SchemaName: ptr("order"), DataFormat: types.DataFormatAvro, SchemaDefinition: ptr(v1)})
	if err != nil {
		t.Fatal(err)
	}
	order := &types.SchemaId{RegistryName: ptr("shop"), SchemaName: ptr("order")}
	// Another spelling of the same.
	byARN := &types.SchemaId{SchemaArn: ptr("arn:aws-cn:glue:eu-west-1:" + account + ":schema/shop/order")}
	inRegistry, inSchema := []string{names + "registry/shop"}, []string{names + "registry/shop", names + "schema/shop/order"}
	all, every := []string{"*"}, []string{names + "registry/*"}
	inDefault := []string{names + "registry/default-registry", names + "schema/default-registry/order"}
	served := map[string]bool{}
	for _, c := range []struct {
		in   any
		want []string
	}{
		{&glue.CheckSchemaVersionValidityInput{}, all},
		{&glue.CreateRegistryInput{RegistryName: ptr("shop")}, inRegistry},
		{&glue.CreateSchemaInput{RegistryId: shop, SchemaName: ptr("order")}, inSchema},
		{&glue.CreateSchemaInput{SchemaName: ptr("order")}, inDefault},
		{&glue.DeleteRegistryInput{RegistryId: shop}, inRegistry},
		{&glue.DeleteSchemaInput{SchemaId: order}, inSchema},
		{&glue.DeleteSchemaVersionsInput{SchemaId: order}, inSchema},
		{&glue.GetRegistryInput{RegistryId: &types.RegistryId{RegistryArn: ptr(names + "registry/shop")}}, inRegistry},
		{&glue.GetSchemaInput{SchemaId: byARN}, inSchema},
		// Names that are left out are those of the default registry.
		{&glue.GetRegistryInput{RegistryId: &types.RegistryId{RegistryArn: ptr(names + "registry/")}}, inDefault[:1]},
		{&glue.GetSchemaInput{SchemaId: &types.SchemaId{SchemaArn: ptr(names + "schema//order")}}, inDefault},
		{&glue.GetTagsInput{ResourceArn: ptr(names + "schema//order")}, inDefault[1:]},
		{&glue.GetSchemaByDefinitionInput{SchemaId: order}, inSchema},
		{&glue.GetSchemaVersionInput{SchemaId: order}, inSchema},
		{&glue.GetSchemaVersionInput{SchemaVersionId: made.SchemaVersionId}, inSchema},
		{&glue.GetSchemaVersionsDiffInput{SchemaId: order}, inSchema},
		{&glue.GetTagsInput{ResourceArn: byARN.SchemaArn}, inSchema[1:]},
		{&glue.ListRegistriesInput{}, all},
		{&glue.ListSchemaVersionsInput{SchemaId: order}, inSchema},
		{&glue.ListSchemasInput{}, every},
		{&glue.ListSchemasInput{RegistryId: shop}, inRegistry},
		{&glue.PutSchemaVersionMetadataInput{SchemaVersionId: made.SchemaVersionId}, inSchema},
		{&glue.QuerySchemaVersionMetadataInput{SchemaVersionId: made.SchemaVersionId}, inSchema},
		{&glue.RegisterSchemaVersionInput{SchemaId: &types.SchemaId{SchemaName: ptr("order")}}, inDefault},
		{&glue.RemoveSchemaVersionMetadataInput{SchemaId: order}, inSchema},
		{&glue.TagResourceInput{ResourceArn: ptr(names + "registry/shop")}, inRegistry},
		{&glue.UntagResourceInput{ResourceArn: ptr(names + "job/x")}, []string{names + "job/x"}},
		{&glue.UpdateRegistryInput{RegistryId: shop}, inRegistry},
		{&glue.UpdateSchemaInput{SchemaId: order}, inSchema},
	} {
		call.Operation = strings.TrimSuffix(reflect.TypeOf(c.in).Elem().Name(), "Input")
		served[call.Operation], asked = true, nil
		if err := a.permit(ctx, c.in); err != nil {
			t.Errorf("%s: %v", call.Operation, err)
		}
		want := []string{}
		for _, r := range c.want {
			want = append(want, "glue:"+call.Operation+" "+r)
		}
		if !slices.Equal(asked, want) {
			t.Errorf("%s asks for %q, not %q", call.Operation, asked, want)
		}
	}
	for m := range reflect.TypeFor[*API]().Methods() {
		if !served[m.Name] {
			t.Errorf("nobody asks for %s", m.Name)
		}
	}
	if len(served) != 23 {
		t.Errorf("%d operations are served", len(served))
	}
	if err := a.permit(ctx, &glue.GetJobInput{}); err == nil {
		t.Error("what is not known is let in")
	}
}

// TestRoles has roles do by the SDK what their policies say, and learn nothing of
// what they may not read.
func TestRoles(t *testing.T) {
	e := registry.New(registry.Config{DB: storetest.Open(t)})
	defer e.Close()
	only := func(actions, schemas string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[` + actions + `],"Resource":["` + names + `registry/shop",` + schemas + `]}]}`
	}
	api, err := awsapi.New(awsapi.Config{Auth: roles{
		"orders": only(`"glue:Get*","glue:Query*"`, `"`+names+`schema/shop/order"`),
		"writer": only(`"glue:RegisterSchemaVersion"`, `"`+names+`schema/shop/order"`),
		// As AWS has it for deserializers, which know ids alone.
		"reader":  `{"Statement":{"Effect":"Allow","Action":"glue:GetSchemaVersion","Resource":"*"}}`,
		"but":     `{"Statement":[{"Effect":"Allow","Action":"glue:*","Resource":"*"},{"Effect":"Deny","Action":"glue:*","Resource":"*/secret"}]}`,
		"nothing": `{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`,
	}}, Service(Config{Engine: e}))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(api)
	defer srv.Close()
	as := func(role string) *fixture {
		return &fixture{t, glue.New(glue.Options{BaseEndpoint: &srv.URL, Region: "eu-west-1", Retryer: aws.NopRetryer{},
			Credentials: credentials.NewStaticCredentialsProvider(role, "x", "")}), context.Background()}
	}
	root := as("root")
	order := root.order(types.CompatibilityNone)
	secret := &types.SchemaId{RegistryName: ptr("shop"), SchemaName: ptr("secret")}
	_, err = root.CreateSchema(root.ctx, &glue.CreateSchemaInput{RegistryId: &types.RegistryId{RegistryName: ptr("shop")}, SchemaName: ptr("secret"),
		DataFormat: types.DataFormatAvro, Compatibility: types.CompatibilityNone, SchemaDefinition: ptr(v2)})
	root.must(err)
	latest := &types.SchemaVersionNumber{LatestVersion: true}
	idOf := func(s *types.SchemaId) *string {
		v, err := root.GetSchemaVersion(root.ctx, &glue.GetSchemaVersionInput{SchemaId: s, SchemaVersionNumber: latest})
		root.must(err)
		return v.SchemaVersionId
	}
	ids := map[string]*string{"order": idOf(order), "secret": idOf(secret), "none": ptr("00000000-0000-4000-8000-000000000000")}
	none := &types.SchemaId{RegistryName: ptr("shop"), SchemaName: ptr("none")}
	gone := &types.SchemaId{RegistryName: ptr("gone"), SchemaName: ptr("none")}
	get := func(role string, in *glue.GetSchemaVersionInput) error {
		f := as(role)
		_, err := f.GetSchemaVersion(f.ctx, in)
		return err
	}
	byName := func(role string, s *types.SchemaId) error {
		return get(role, &glue.GetSchemaVersionInput{SchemaId: s, SchemaVersionNumber: latest})
	}
	byID := func(role, which string) error {
		return get(role, &glue.GetSchemaVersionInput{SchemaVersionId: ids[which]})
	}
	register := func(role string, s *types.SchemaId, text string) error {
		f := as(role)
		_, err := f.RegisterSchemaVersion(f.ctx, &glue.RegisterSchemaVersionInput{SchemaId: s, SchemaDefinition: &text})
		return err
	}
	for what, err := range map[string]error{
		"orders reads order":           byName("orders", order),
		"orders reads order by id":     byID("orders", "order"),
		"writer writes order":          register("writer", order, v2),
		"a reader reads by id":         byID("reader", "secret"),
		"all but secret, order by id":  byID("but", "order"),
		"all but secret writes order":  register("but", order, v2),
		"root reads what is forbidden": byName("root", secret),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	denied := func(what string, err error, role, action, resource string, why ...string) {
		t.Helper()
		reason := "because no identity-based policy allows the glue:" + action + " action"
		if len(why) > 0 {
			reason = why[0]
		}
		refused(t, err, "AccessDeniedException", "User: arn:aws:sts::"+account+":assumed-role/"+role+"/1 is not authorized to perform: glue:"+action+" on resource: "+resource+" "+reason)
		var typed *types.AccessDeniedException
		if !errors.As(err, &typed) {
			t.Errorf("%s: the SDK has no type for %v", what, err)
		}
	}
	denied("orders reads secret", byName("orders", secret), "orders", "GetSchemaVersion", names+"schema/shop/secret")
	denied("orders reads what is not there", byName("orders", none), "orders", "GetSchemaVersion", names+"schema/shop/none")
	denied("orders reads elsewhere", byName("orders", gone), "orders", "GetSchemaVersion", names+"registry/gone")
	denied("orders reads secret by id", byID("orders", "secret"), "orders", "GetSchemaVersion", "*")
	denied("orders reads nothing by id", byID("orders", "none"), "orders", "GetSchemaVersion", "*")
	denied("orders writes order", register("orders", order, v1), "orders", "RegisterSchemaVersion", names+"registry/shop")
	denied("writer writes secret", register("writer", secret, v1), "writer", "RegisterSchemaVersion", names+"schema/shop/secret")
	denied("writer reads order", byName("writer", order), "writer", "GetSchemaVersion", names+"registry/shop")
	denied("a reader by name of what is denied", byName("but", secret), "but", "GetSchemaVersion", names+"schema/shop/secret", "with an explicit deny in an identity-based policy")
	_, err = as("nothing").ListRegistries(root.ctx, &glue.ListRegistriesInput{})
	denied("nothing lists", err, "nothing", "ListRegistries", "*", "with an explicit deny in an identity-based policy")
	_, err = as("orders").ListSchemas(root.ctx, &glue.ListSchemasInput{})
	denied("orders lists", err, "orders", "ListSchemas", names+"registry/*")
	// Who may read all there are but some is not told which ids are of those.
	for _, which := range []string{"secret", "none"} {
		refused(t, byID("but", which), "EntityNotFoundException", "Schema version is not found. SchemaVersionId: "+*ids[which])
	}
	if v, err := root.GetSchema(root.ctx, &glue.GetSchemaInput{SchemaId: secret}); err != nil || *v.LatestSchemaVersion != 1 {
		t.Errorf("secret is %+v, %v", v, err)
	}
}
