package glue

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/smithy-go"

	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store/storetest"
)

const account = "123456789012"

type fixture struct {
	*testing.T
	*glue.Client
	ctx context.Context
}

func newFixture(t *testing.T) *fixture { return guarded(t, nil) }

func guarded(t *testing.T, guard func(context.Context, []registry.Version) error) *fixture {
	t.Helper()
	e := registry.New(registry.Config{DB: storetest.Open(t), Guard: guard})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; e.Close() })
	api, err := awsapi.New(awsapi.Config{}, Service(Config{Engine: e}))
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Verify(); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(api)
	t.Cleanup(srv.Close)
	c := glue.New(glue.Options{BaseEndpoint: &srv.URL, Region: "eu-west-1", Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(account, "x", "")})
	return &fixture{t, c, context.Background()}
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// refused checks an error's code and its whole message.
func refused(t *testing.T, err error, code, message string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code || api.ErrorMessage() != message {
		t.Errorf("the error is %v\nwant %s: %s", err, code, message)
	}
}

const (
	v1  = `{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]}`
	v2  = `{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}, {"name": "note", "type": "string", "default": ""}]}`
	bad = `{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}, {"name": "total", "type": "int"}]}`
)

// order makes the schema shop/order with version 1.
func (f *fixture) order(level types.Compatibility) *types.SchemaId {
	f.Helper()
	_, err := f.CreateRegistry(f.ctx, &glue.CreateRegistryInput{RegistryName: ptr("shop")})
	f.must(err)
	_, err = f.CreateSchema(f.ctx, &glue.CreateSchemaInput{RegistryId: &types.RegistryId{RegistryName: ptr("shop")}, SchemaName: ptr("order"),
		DataFormat: types.DataFormatAvro, Compatibility: level, SchemaDefinition: ptr(v1)})
	f.must(err)
	return &types.SchemaId{RegistryName: ptr("shop"), SchemaName: ptr("order")}
}

func (f *fixture) register(id *types.SchemaId, text string) *glue.RegisterSchemaVersionOutput {
	f.Helper()
	out, err := f.RegisterSchemaVersion(f.ctx, &glue.RegisterSchemaVersionInput{SchemaId: id, SchemaDefinition: &text})
	f.must(err)
	return out
}

func number(n int64) *types.SchemaVersionNumber { return &types.SchemaVersionNumber{VersionNumber: &n} }

var latest = &types.SchemaVersionNumber{LatestVersion: true}

func TestRegistries(t *testing.T) {
	f := newFixture(t)
	made, err := f.CreateRegistry(f.ctx, &glue.CreateRegistryInput{RegistryName: ptr("shop"), Description: ptr("d"), Tags: map[string]string{"k": "v"}})
	f.must(err)
	if *made.RegistryArn != "arn:aws:glue:eu-west-1:123456789012:registry/shop" || *made.RegistryName != "shop" || *made.Description != "d" || made.Tags["k"] != "v" {
		t.Errorf("%+v", made)
	}
	_, err = f.CreateRegistry(f.ctx, &glue.CreateRegistryInput{RegistryName: ptr("shop")})
	refused(t, err, "AlreadyExistsException", "Registry already exists. RegistryName: shop")
	_, err = f.CreateRegistry(f.ctx, &glue.CreateRegistryInput{RegistryName: ptr("x"), Tags: map[string]string{"aws:x": ""}})
	refused(t, err, "InvalidInputException", "Invalid Tag Parameters: tag keys that begin with aws: are reserved: aws:x")
	_, err = f.CreateRegistry(f.ctx, &glue.CreateRegistryInput{RegistryName: ptr("a b")})
	refused(t, err, "ValidationException", "1 validation error detected: Value 'a b' at 'registryName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9-_$#.]+")
	_, err = f.UpdateRegistry(f.ctx, &glue.UpdateRegistryInput{RegistryId: &types.RegistryId{RegistryArn: made.RegistryArn}, Description: ptr("other")})
	f.must(err)
	got, err := f.GetRegistry(f.ctx, &glue.GetRegistryInput{RegistryId: &types.RegistryId{RegistryName: ptr("shop")}})
	f.must(err)
	if *got.Description != "other" || got.Status != types.RegistryStatusAvailable || *got.UpdatedTime < *got.CreatedTime {
		t.Errorf("%+v", got)
	}
	if _, err := time.Parse(time.RFC3339, *got.CreatedTime); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		id            types.RegistryId
		code, message string
	}{
		{types.RegistryId{RegistryName: ptr("none")}, "EntityNotFoundException", "Registry is not found. RegistryName: none"},
		{types.RegistryId{}, "EntityNotFoundException", "Registry is not found. RegistryName: default-registry"},
		{types.RegistryId{RegistryName: ptr("shop"), RegistryArn: made.RegistryArn}, "InvalidInputException", "One of registryName or registryArn has to be provided, both cannot be provided."},
		{types.RegistryId{RegistryArn: ptr("arn:aws:glue:eu-west-1:123456789012:schema/a/b")}, "InvalidInputException", "arn:aws:glue:eu-west-1:123456789012:schema/a/b is not the ARN of a registry: arn:aws:glue:REGION:ACCOUNT:registry/NAME"},
		{types.RegistryId{RegistryArn: ptr("arn:aws:glue:eu-west-1:999999999999:registry/shop")}, "EntityNotFoundException", "Registry is not found. RegistryName: arn:aws:glue:eu-west-1:999999999999:registry/shop"},
	} {
		_, err := f.GetRegistry(f.ctx, &glue.GetRegistryInput{RegistryId: &c.id})
		refused(t, err, c.code, c.message)
	}
	gone, err := f.DeleteRegistry(f.ctx, &glue.DeleteRegistryInput{RegistryId: &types.RegistryId{RegistryName: ptr("shop")}})
	f.must(err)
	if gone.Status != types.RegistryStatusDeleting {
		t.Errorf("%+v", gone)
	}
	f.eventually(func() error {
		_, err := f.GetRegistry(f.ctx, &glue.GetRegistryInput{RegistryId: &types.RegistryId{RegistryName: ptr("shop")}})
		return err
	}, "EntityNotFoundException")
}

// eventually waits until a call ends in an error of that code.
func (f *fixture) eventually(call func() error, code string) {
	f.Helper()
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		var api smithy.APIError
		if err = call(); errors.As(err, &api) && api.ErrorCode() == code {
			return
		}
	}
	f.Fatalf("it stays %v, want %s", err, code)
}

func TestSchemas(t *testing.T) {
	f := newFixture(t)
	made, err := f.CreateSchema(f.ctx, &glue.CreateSchemaInput{SchemaName: ptr("order"), DataFormat: types.DataFormatAvro, Compatibility: types.CompatibilityBackward,
		Description: ptr("d"), SchemaDefinition: ptr(v1), Tags: map[string]string{"k": "v"}})
	f.must(err)
	if *made.RegistryName != "default-registry" || *made.SchemaArn != "arn:aws:glue:eu-west-1:123456789012:schema/default-registry/order" ||
		*made.LatestSchemaVersion != 1 || *made.NextSchemaVersion != 2 || *made.SchemaCheckpoint != 1 || made.SchemaStatus != "AVAILABLE" ||
		made.SchemaVersionStatus != "AVAILABLE" || len(*made.SchemaVersionId) != 36 || made.Tags["k"] != "v" {
		t.Errorf("%+v", made)
	}
	_, err = f.CreateSchema(f.ctx, &glue.CreateSchemaInput{SchemaName: ptr("order"), DataFormat: types.DataFormatAvro, SchemaDefinition: ptr(v1)})
	refused(t, err, "AlreadyExistsException", "Schema already exists. RegistryName: default-registry, SchemaName: order")
	_, err = f.CreateSchema(f.ctx, &glue.CreateSchemaInput{SchemaName: ptr("x"), DataFormat: types.DataFormatAvro, RegistryId: &types.RegistryId{RegistryName: ptr("none")}})
	refused(t, err, "EntityNotFoundException", "Registry is not found. RegistryName: none")
	_, err = f.CreateSchema(f.ctx, &glue.CreateSchemaInput{SchemaName: ptr("x"), DataFormat: types.DataFormatAvro, SchemaDefinition: ptr("{")})
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "InvalidInputException" || !strings.HasPrefix(api.ErrorMessage(), "Schema definition is invalid: x.avsc") {
		t.Error(err)
	}
	_, err = f.UpdateSchema(f.ctx, &glue.UpdateSchemaInput{SchemaId: &types.SchemaId{SchemaArn: made.SchemaArn}, Compatibility: types.CompatibilityFull, SchemaVersionNumber: latest, Description: ptr("e")})
	f.must(err)
	id := &types.SchemaId{SchemaName: ptr("order")}
	got, err := f.GetSchema(f.ctx, &glue.GetSchemaInput{SchemaId: id})
	f.must(err)
	if got.Compatibility != types.CompatibilityFull || *got.Description != "e" || got.DataFormat != types.DataFormatAvro || *got.NextSchemaVersion != 2 {
		t.Errorf("%+v", got)
	}
	for _, c := range []struct {
		in            glue.UpdateSchemaInput
		code, message string
	}{
		{glue.UpdateSchemaInput{SchemaId: id, Compatibility: types.CompatibilityFull}, "InvalidInputException", "SchemaVersionNumber is required to update Compatibility: it becomes the checkpoint."},
		{glue.UpdateSchemaInput{SchemaId: id}, "InvalidInputException", "One of SchemaVersionNumber, Compatibility or Description has to be provided."},
		{glue.UpdateSchemaInput{SchemaId: id, SchemaVersionNumber: number(7)}, "EntityNotFoundException", "Schema version is not found. RegistryName: default-registry, SchemaName: order, VersionNumber: 7"},
		{glue.UpdateSchemaInput{SchemaId: id, SchemaVersionNumber: &types.SchemaVersionNumber{}}, "InvalidInputException", "One of version number (or) latest version is required."},
		{glue.UpdateSchemaInput{SchemaId: &types.SchemaId{RegistryName: ptr("shop")}, Description: ptr("x")}, "InvalidInputException", "At least one of (registryName and schemaName) or schemaArn has to be provided."},
		{glue.UpdateSchemaInput{SchemaId: &types.SchemaId{SchemaName: ptr("x"), SchemaArn: made.SchemaArn}, Description: ptr("x")}, "InvalidInputException", "One of (registryName and schemaName) or schemaArn has to be provided, both cannot be provided."},
		{glue.UpdateSchemaInput{SchemaId: &types.SchemaId{SchemaName: ptr("x")}, Description: ptr("x")}, "EntityNotFoundException", "Schema is not found. RegistryName: default-registry, SchemaName: x"},
	} {
		_, err := f.UpdateSchema(f.ctx, &c.in)
		refused(t, err, c.code, c.message)
	}
	// Without a definition a schema waits for its first version.
	empty, err := f.CreateSchema(f.ctx, &glue.CreateSchemaInput{SchemaName: ptr("empty"), DataFormat: types.DataFormatAvro})
	f.must(err)
	if empty.SchemaStatus != "PENDING" || empty.LatestSchemaVersion != nil || *empty.NextSchemaVersion != 1 || empty.Compatibility != "BACKWARD" || empty.SchemaVersionId != nil {
		t.Errorf("%+v", empty)
	}
	gone, err := f.DeleteSchema(f.ctx, &glue.DeleteSchemaInput{SchemaId: id})
	f.must(err)
	if gone.Status != "DELETING" {
		t.Errorf("%+v", gone)
	}
	f.eventually(func() error { _, err := f.GetSchema(f.ctx, &glue.GetSchemaInput{SchemaId: id}); return err }, "EntityNotFoundException")
}

func TestVersions(t *testing.T) {
	f := newFixture(t)
	id := f.order(types.CompatibilityBackward)
	two := f.register(id, v2)
	if *two.VersionNumber != 2 || two.Status != "AVAILABLE" {
		t.Errorf("%+v", two)
	}
	if again := f.register(id, strings.ReplaceAll(v2, " ", "")); *again.SchemaVersionId != *two.SchemaVersionId {
		t.Errorf("the same definition is %+v", again)
	}
	failed := f.register(id, bad)
	if *failed.VersionNumber != 3 || failed.Status != "FAILURE" {
		t.Errorf("%+v", failed)
	}
	got, err := f.GetSchemaVersion(f.ctx, &glue.GetSchemaVersionInput{SchemaId: id, SchemaVersionNumber: latest})
	f.must(err)
	if *got.SchemaVersionId != *two.SchemaVersionId || *got.SchemaDefinition != v2 || got.DataFormat != "AVRO" || got.Status != "AVAILABLE" {
		t.Errorf("%+v", got)
	}
	if got, err = f.GetSchemaVersion(f.ctx, &glue.GetSchemaVersionInput{SchemaVersionId: failed.SchemaVersionId}); err != nil || got.Status != "FAILURE" || *got.VersionNumber != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	why, err := f.QuerySchemaVersionMetadata(f.ctx, &glue.QuerySchemaVersionMetadataInput{SchemaVersionId: failed.SchemaVersionId})
	f.must(err)
	if reason := why.MetadataInfoMap["dhow:failure"].MetadataValue; reason == nil || !strings.Contains(*reason, "total") || !strings.Contains(*reason, "1.1.0") {
		t.Errorf("%+v", why.MetadataInfoMap)
	}
	found, err := f.GetSchemaByDefinition(f.ctx, &glue.GetSchemaByDefinitionInput{SchemaId: id, SchemaDefinition: ptr(v1)})
	f.must(err)
	if found.Status != "AVAILABLE" || *found.SchemaArn != "arn:aws:glue:eu-west-1:123456789012:schema/shop/order" {
		t.Errorf("%+v", found)
	}
	list, err := f.ListSchemaVersions(f.ctx, &glue.ListSchemaVersionsInput{SchemaId: id, MaxResults: aws.Int32(2)})
	f.must(err)
	rest, err := f.ListSchemaVersions(f.ctx, &glue.ListSchemaVersionsInput{SchemaId: id, MaxResults: aws.Int32(2), NextToken: list.NextToken})
	f.must(err)
	if len(list.Schemas) != 2 || len(rest.Schemas) != 1 || rest.Schemas[0].Status != "FAILURE" || rest.NextToken != nil {
		t.Errorf("%+v, %+v", list, rest)
	}
	diff, err := f.GetSchemaVersionsDiff(f.ctx, &glue.GetSchemaVersionsDiffInput{SchemaId: id, FirstSchemaVersionNumber: number(1), SecondSchemaVersionNumber: latest, SchemaDiffType: types.SchemaDiffTypeSyntaxDiff})
	f.must(err)
	if *diff.Diff != `[{"op":"add","path":"/fields/1","value":{"default":"","name":"note","type":"string"}}]` {
		t.Error(*diff.Diff)
	}
	for _, c := range []struct {
		in            glue.GetSchemaVersionInput
		code, message string
	}{
		{glue.GetSchemaVersionInput{SchemaVersionId: ptr("b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63")}, "EntityNotFoundException", "Schema version is not found. SchemaVersionId: b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63"},
		{glue.GetSchemaVersionInput{SchemaVersionId: failed.SchemaVersionId, SchemaId: id}, "InvalidInputException", "No other input parameters can be specified when fetching by SchemaVersionId."},
		{glue.GetSchemaVersionInput{SchemaId: id}, "InvalidInputException", "One of version number (or) latest version is required."},
		{glue.GetSchemaVersionInput{SchemaId: id, SchemaVersionNumber: &types.SchemaVersionNumber{VersionNumber: aws.Int64(1), LatestVersion: true}}, "InvalidInputException", "Only one of VersionNumber or LatestVersion is required."},
		{glue.GetSchemaVersionInput{SchemaId: id, SchemaVersionNumber: number(9)}, "EntityNotFoundException", "Schema version is not found. RegistryName: shop, SchemaName: order, VersionNumber: 9"},
		{glue.GetSchemaVersionInput{}, "InvalidInputException", "At least one of (registryName and schemaName) or schemaArn has to be provided."},
	} {
		_, err := f.GetSchemaVersion(f.ctx, &c.in)
		refused(t, err, c.code, c.message)
	}
	_, err = f.GetSchemaByDefinition(f.ctx, &glue.GetSchemaByDefinitionInput{SchemaId: id, SchemaDefinition: ptr(`"int"`)})
	refused(t, err, "EntityNotFoundException", "Schema version is not found. RegistryName: shop, SchemaName: order")
	_, err = f.UpdateSchema(f.ctx, &glue.UpdateSchemaInput{SchemaId: id, Compatibility: types.CompatibilityDisabled, SchemaVersionNumber: latest})
	f.must(err)
	_, err = f.RegisterSchemaVersion(f.ctx, &glue.RegisterSchemaVersionInput{SchemaId: id, SchemaDefinition: ptr(bad)})
	refused(t, err, "InvalidInputException", "Compatibility DISABLED does not allow versioning. RegistryName: shop, SchemaName: order")
}

func TestSemver(t *testing.T) {
	f := newFixture(t)
	id := f.order(types.CompatibilityNone)
	_, err := f.RegisterSchemaVersion(f.ctx, &glue.RegisterSchemaVersionInput{SchemaId: id, SchemaDefinition: ptr(strings.Replace(bad, `"name"`, `"semver": "1.2.0", "name"`, 1))})
	refused(t, err, "InvalidInputException", "order declares semantic version 1.2.0, but its change is major: after 1.0.0 it must be 2.0.0 at least. Declare that, or none, to have it derived.")
	v := f.register(id, bad)
	_, err = f.PutSchemaVersionMetadata(f.ctx, &glue.PutSchemaVersionMetadataInput{SchemaVersionId: v.SchemaVersionId, MetadataKeyValue: pair("semver", "1.9.0")})
	refused(t, err, "InvalidInputException", "1.9.0 understates the change of version 2 of order, which is 2.0.0 at least.")
	put, err := f.PutSchemaVersionMetadata(f.ctx, &glue.PutSchemaVersionMetadataInput{SchemaVersionId: v.SchemaVersionId, MetadataKeyValue: pair("semver", "2.1.0")})
	f.must(err)
	if !put.LatestVersion || *put.VersionNumber != 2 || *put.SchemaName != "order" {
		t.Errorf("%+v", put)
	}
	all, err := f.QuerySchemaVersionMetadata(f.ctx, &glue.QuerySchemaVersionMetadataInput{SchemaVersionId: v.SchemaVersionId})
	f.must(err)
	if m := all.MetadataInfoMap; len(m) != 1 || *m["semver"].MetadataValue != "2.1.0" {
		t.Errorf("%+v", m)
	}
	_, err = f.RemoveSchemaVersionMetadata(f.ctx, &glue.RemoveSchemaVersionMetadataInput{SchemaVersionId: v.SchemaVersionId, MetadataKeyValue: pair("semver", "2.1.0")})
	refused(t, err, "InvalidInputException", "every version has a semantic version: put another one in place of 2.1.0.")
}

func pair(k, v string) *types.MetadataKeyValuePair {
	return &types.MetadataKeyValuePair{MetadataKey: &k, MetadataValue: &v}
}

func TestMetadata(t *testing.T) {
	f := newFixture(t)
	id := f.order(types.CompatibilityNone)
	put := func(k, v string) error {
		_, err := f.PutSchemaVersionMetadata(f.ctx, &glue.PutSchemaVersionMetadataInput{SchemaId: id, SchemaVersionNumber: latest, MetadataKeyValue: pair(k, v)})
		return err
	}
	got, err := f.GetSchemaVersion(f.ctx, &glue.GetSchemaVersionInput{SchemaId: id, SchemaVersionNumber: number(1)})
	f.must(err)
	which := "schema version id: " + *got.SchemaVersionId
	for _, v := range []string{"a", "b", "c"} {
		f.must(put("team", v))
	}
	refused(t, put("team", "a"), "AlreadyExistsException", "Resource already exist for "+which+", metadata key: team, metadata value: a")
	f.must(put("env", "prod"))
	query := func(in glue.QuerySchemaVersionMetadataInput) *glue.QuerySchemaVersionMetadataOutput {
		t.Helper()
		in.SchemaId, in.SchemaVersionNumber = id, latest
		out, err := f.QuerySchemaVersionMetadata(f.ctx, &in)
		f.must(err)
		return out
	}
	team := query(glue.QuerySchemaVersionMetadataInput{MetadataList: []types.MetadataKeyValuePair{{MetadataKey: ptr("team")}}}).MetadataInfoMap
	if o := team["team"].OtherMetadataValueList; len(team) != 1 || *team["team"].MetadataValue != "c" || len(o) != 2 || *o[0].MetadataValue != "b" || *o[1].MetadataValue != "a" {
		t.Errorf("%+v", team)
	}
	if m := query(glue.QuerySchemaVersionMetadataInput{MetadataList: []types.MetadataKeyValuePair{*pair("team", "a"), *pair("env", "none")}}).MetadataInfoMap; len(m) != 1 || *m["team"].MetadataValue != "a" {
		t.Errorf("%+v", m)
	}
	first := query(glue.QuerySchemaVersionMetadataInput{MaxResults: aws.Int32(2)})
	second := query(glue.QuerySchemaVersionMetadataInput{MaxResults: aws.Int32(2), NextToken: first.NextToken})
	if len(first.MetadataInfoMap) != 2 || len(second.MetadataInfoMap) != 1 || second.NextToken != nil {
		t.Errorf("%+v, %+v", first, second)
	}
	remove := func(k, v string) error {
		_, err := f.RemoveSchemaVersionMetadata(f.ctx, &glue.RemoveSchemaVersionMetadataInput{SchemaId: id, SchemaVersionNumber: latest, MetadataKeyValue: pair(k, v)})
		return err
	}
	f.must(remove("team", "b"))
	refused(t, remove("team", "b"), "EntityNotFoundException", "Metadata is not found for "+which+", metadata key: team, metadata value: b")
	for _, v := range strings.Split("1234567", "") {
		f.must(put("n", v))
	}
	refused(t, put("n", "8"), "ResourceNumberLimitExceededException", "Your resource limits for Schema Version Metadata have been exceeded.")
	_, err = f.PutSchemaVersionMetadata(f.ctx, &glue.PutSchemaVersionMetadataInput{SchemaId: id, SchemaVersionNumber: latest, MetadataKeyValue: &types.MetadataKeyValuePair{MetadataKey: ptr("k")}})
	refused(t, err, "InvalidInputException", "Both MetadataKey and MetadataValue have to be provided.")
}

func TestDeleteVersions(t *testing.T) {
	f := newFixture(t)
	id := f.order(types.CompatibilityNone)
	for _, text := range []string{v2, bad, `"int"`, `"long"`} {
		f.register(id, text)
	}
	drop := func(versions string) (*glue.DeleteSchemaVersionsOutput, error) {
		return f.DeleteSchemaVersions(f.ctx, &glue.DeleteSchemaVersionsInput{SchemaId: id, Versions: &versions})
	}
	_, err := drop("1-3")
	refused(t, err, "ConflictException", "Version 1 is the checkpoint: set another one by UpdateSchema first. RegistryName: shop, SchemaName: order")
	_, err = f.UpdateSchema(f.ctx, &glue.UpdateSchemaInput{SchemaId: id, SchemaVersionNumber: number(2)})
	f.must(err)
	_, err = drop("1")
	refused(t, err, "InvalidInputException", "The first schema version can only be deleted by the DeleteSchema API. RegistryName: shop, SchemaName: order")
	_, err = drop("4-3")
	refused(t, err, "InvalidInputException", `Versions is a version number, as in 5, or a range of them, as in 5-8: "4-3" is none.`)
	_, err = drop("3-99999999999999999999")
	refused(t, err, "InvalidInputException", `Versions is a version number, as in 5, or a range of them, as in 5-8: "3-99999999999999999999" is none.`)
	out, err := drop("3-99")
	f.must(err)
	if e := out.SchemaVersionErrors; len(e) != 1 || *e[0].VersionNumber != 6 || *e[0].ErrorDetails.ErrorCode != "EntityNotFoundException" {
		t.Errorf("%+v", e)
	}
	f.eventually(func() error {
		_, err := f.GetSchemaVersion(f.ctx, &glue.GetSchemaVersionInput{SchemaId: id, SchemaVersionNumber: number(5)})
		return err
	}, "EntityNotFoundException")
	s, err := f.GetSchema(f.ctx, &glue.GetSchemaInput{SchemaId: id})
	f.must(err)
	if *s.LatestSchemaVersion != 2 || *s.NextSchemaVersion != 6 || *s.SchemaCheckpoint != 2 {
		t.Errorf("%+v", s)
	}
	// What the compatibility compares with stays.
	f.register(id, bad)
	_, err = f.UpdateSchema(f.ctx, &glue.UpdateSchemaInput{SchemaId: id, SchemaVersionNumber: number(2), Compatibility: types.CompatibilityBackwardAll})
	f.must(err)
	out, err = drop("6")
	f.must(err)
	if e := out.SchemaVersionErrors; len(e) != 1 || !strings.Contains(*e[0].ErrorDetails.ErrorMessage, "set a later checkpoint first") {
		t.Errorf("%+v", e)
	}
}

// What messages come in is not deleted: the guard says of what.
func TestGuard(t *testing.T) {
	asked := 0
	f := guarded(t, func(_ context.Context, list []registry.Version) error {
		asked++
		if slices.ContainsFunc(list, func(v registry.Version) bool { return v.Number == 2 }) {
			return fmt.Errorf("version 2: %w: 4 since noon", registry.ErrInUse)
		}
		return nil
	})
	id := f.order(types.CompatibilityNone)
	f.register(id, v2)
	_, err := f.DeleteSchema(f.ctx, &glue.DeleteSchemaInput{SchemaId: id})
	refused(t, err, "InvalidInputException", "version 2: messages come in it: 4 since noon. RegistryName: shop, SchemaName: order")
	if asked != 1 {
		t.Errorf("the guard was asked %d times for two versions", asked)
	}
	_, err = f.DeleteRegistry(f.ctx, &glue.DeleteRegistryInput{RegistryId: &types.RegistryId{RegistryName: ptr("shop")}})
	refused(t, err, "InvalidInputException", "version 2: messages come in it: 4 since noon. RegistryName: shop")
	out, err := f.DeleteSchemaVersions(f.ctx, &glue.DeleteSchemaVersionsInput{SchemaId: id, Versions: ptr("2")})
	f.must(err)
	if e := out.SchemaVersionErrors; len(e) != 1 || !strings.HasPrefix(*e[0].ErrorDetails.ErrorMessage, "version 2: messages come in it") {
		t.Errorf("%+v", e)
	}
}

func TestListsAndTags(t *testing.T) {
	f := newFixture(t)
	f.order(types.CompatibilityNone)
	for _, n := range []string{"a", "b"} {
		_, err := f.CreateSchema(f.ctx, &glue.CreateSchemaInput{SchemaName: &n, DataFormat: types.DataFormatAvro})
		f.must(err)
	}
	all, err := f.ListSchemas(f.ctx, &glue.ListSchemasInput{})
	f.must(err)
	one, err := f.ListSchemas(f.ctx, &glue.ListSchemasInput{RegistryId: &types.RegistryId{RegistryName: ptr("shop")}})
	f.must(err)
	if len(all.Schemas) != 3 || len(one.Schemas) != 1 || *one.Schemas[0].SchemaName != "order" || *one.Schemas[0].RegistryName != "shop" {
		t.Errorf("%+v, %+v", all, one)
	}
	_, err = f.ListSchemas(f.ctx, &glue.ListSchemasInput{RegistryId: &types.RegistryId{RegistryName: ptr("none")}})
	refused(t, err, "EntityNotFoundException", "Registry is not found. RegistryName: none")
	regs, err := f.ListRegistries(f.ctx, &glue.ListRegistriesInput{MaxResults: aws.Int32(1)})
	f.must(err)
	if len(regs.Registries) != 1 || *regs.Registries[0].RegistryName != "default-registry" || regs.NextToken == nil {
		t.Errorf("%+v", regs)
	}
	for _, arn := range []string{"arn:aws:glue:eu-west-1:123456789012:registry/shop", "arn:aws:glue:eu-west-1:123456789012:schema/shop/order"} {
		_, err := f.TagResource(f.ctx, &glue.TagResourceInput{ResourceArn: &arn, TagsToAdd: map[string]string{"a": "1", "b": "2"}})
		f.must(err)
		_, err = f.UntagResource(f.ctx, &glue.UntagResourceInput{ResourceArn: &arn, TagsToRemove: []string{"a"}})
		f.must(err)
		got, err := f.GetTags(f.ctx, &glue.GetTagsInput{ResourceArn: &arn})
		f.must(err)
		if len(got.Tags) != 1 || got.Tags["b"] != "2" {
			t.Errorf("%+v", got.Tags)
		}
	}
	for _, c := range []struct{ arn, code, message string }{
		{"arn:aws:glue:eu-west-1:123456789012:registry/none", "EntityNotFoundException", "Registry is not found. RegistryName: none"},
		{"arn:aws:glue:eu-west-1:123456789012:schema/shop/none", "EntityNotFoundException", "Schema is not found. RegistryName: shop, SchemaName: none"},
		{"arn:aws:glue:us-east-1:123456789012:schema/shop/order", "EntityNotFoundException", "Resource is not found. ResourceArn: arn:aws:glue:us-east-1:123456789012:schema/shop/order"},
		{"arn:aws:glue:eu-west-1:123456789012:job/x", "InvalidInputException", "arn:aws:glue:eu-west-1:123456789012:job/x is the ARN of no registry and of no schema: of Glue's resources dhow has these."},
	} {
		_, err := f.GetTags(f.ctx, &glue.GetTagsInput{ResourceArn: &c.arn})
		refused(t, err, c.code, c.message)
	}
}

func TestValidity(t *testing.T) {
	f := newFixture(t)
	good, err := f.CheckSchemaVersionValidity(f.ctx, &glue.CheckSchemaVersionValidityInput{DataFormat: types.DataFormatAvro, SchemaDefinition: ptr(v1)})
	f.must(err)
	bad, err := f.CheckSchemaVersionValidity(f.ctx, &glue.CheckSchemaVersionValidityInput{DataFormat: types.DataFormatAvro, SchemaDefinition: ptr(`{"type": "rekord"}`)})
	f.must(err)
	if !good.Valid || good.Error != nil || bad.Valid || deref(bad.Error) == "" {
		t.Errorf("%+v, %+v", good, bad)
	}
	for _, c := range []struct{ text, at string }{
		{strings.Repeat(" ", 170_001), "Value '" + strings.Repeat(" ", 99) + "…' at 'schemaDefinition' failed to satisfy constraint: Member must have length less than or equal to 170000"},
		{"", "Value '' at 'schemaDefinition' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{" \n", "Value ' \n' at 'schemaDefinition' failed to satisfy constraint: Member must satisfy regular expression pattern: .*\\S.*"},
	} {
		_, err := f.CheckSchemaVersionValidity(f.ctx, &glue.CheckSchemaVersionValidityInput{DataFormat: types.DataFormatAvro, SchemaDefinition: &c.text})
		refused(t, err, "ValidationException", "1 validation error detected: "+c.at)
		_, err = f.CreateSchema(f.ctx, &glue.CreateSchemaInput{SchemaName: ptr("x"), DataFormat: types.DataFormatAvro, SchemaDefinition: &c.text})
		refused(t, err, "ValidationException", "1 validation error detected: "+c.at)
	}
	_, err = f.CreateSchema(f.ctx, &glue.CreateSchemaInput{SchemaName: ptr("lines"), DataFormat: types.DataFormatAvro, SchemaDefinition: ptr("\n" + strings.ReplaceAll(v1, ",", ",\n"))})
	f.must(err)
	_, err = f.GetDatabases(f.ctx, &glue.GetDatabasesInput{})
	refused(t, err, "NotImplemented", "dhow does not serve glue.GetDatabases. See docs/coverage.md for what it serves.")
}
