package test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
)

// TestGlueRestart registers from many clients at once and finds all of it after
// a restart: versions, ids, semantic versions, and a delete that was begun is
// carried out.
func TestGlueRestart(t *testing.T) {
	need(t)
	p := ownPlatform(t)
	address := p.address()
	ctx := t.Context()
	c := glue.NewFromConfig(p.config("111111111111"))
	check := failing(t)
	text := func(i int) *string {
		return aws.String(fmt.Sprintf(`{"type": "record", "name": "Order", "fields": [{"name": "f%d", "type": "int", "default": 0}]}`, i))
	}
	for _, name := range []string{"order", "doomed"} {
		_, err := c.CreateSchema(ctx, &glue.CreateSchemaInput{SchemaName: &name, DataFormat: types.DataFormatAvro, Compatibility: types.CompatibilityFullAll, SchemaDefinition: text(0)})
		check(err)
	}
	id := &types.SchemaId{SchemaName: aws.String("order")}
	const versions = 12
	var mu sync.Mutex
	byID := map[string]int{}
	var work sync.WaitGroup
	for w := range 3 * versions {
		work.Go(func() {
			i := w % versions
			v, err := c.RegisterSchemaVersion(ctx, &glue.RegisterSchemaVersionInput{SchemaId: id, SchemaDefinition: text(i)})
			if err != nil || v.Status != types.SchemaVersionStatusAvailable {
				t.Errorf("%+v, %v", v, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			byID[*v.SchemaVersionId] = i
		})
	}
	work.Wait()
	if len(byID) != versions {
		t.Fatalf("%d definitions are %d versions", versions, len(byID))
	}
	_, err := c.DeleteSchema(ctx, &glue.DeleteSchemaInput{SchemaId: &types.SchemaId{SchemaName: aws.String("doomed")}})
	check(err)
	check(p.stop())
	check(p.start(address))

	for v, i := range byID {
		got, err := c.GetSchemaVersion(ctx, &glue.GetSchemaVersionInput{SchemaVersionId: &v})
		check(err)
		if *got.SchemaDefinition != *text(i) {
			t.Errorf("version %d is %s", *got.VersionNumber, *got.SchemaDefinition)
		}
		m, err := c.QuerySchemaVersionMetadata(ctx, &glue.QuerySchemaVersionMetadataInput{SchemaVersionId: &v})
		check(err)
		if s := *m.MetadataInfoMap["semver"].MetadataValue; s != fmt.Sprintf("1.%d.0", *got.VersionNumber-1) {
			t.Errorf("version %d is %s", *got.VersionNumber, s)
		}
	}
	s, err := c.GetSchema(ctx, &glue.GetSchemaInput{SchemaId: id})
	check(err)
	if *s.LatestSchemaVersion != versions || *s.NextSchemaVersion != versions+1 {
		t.Errorf("%+v", s)
	}
	list, err := c.ListSchemas(ctx, &glue.ListSchemasInput{})
	check(err)
	if len(list.Schemas) != 1 {
		t.Errorf("%+v", list.Schemas)
	}
}
