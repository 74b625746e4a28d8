package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
)

// TestSchemaInTask has a container that knows no more than a shell fetch schemas
// with one GET each, in each network mode, with a role and without.
func TestSchemaInTask(t *testing.T) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("no busybox to ask with: ", err)
	}
	l := newLab(t)
	program, err := os.ReadFile(busybox)
	l.must(err)
	dir := t.TempDir()
	l.must(os.WriteFile(filepath.Join(dir, "busybox"), program, 0o755))
	c := exec.Command(dhow, "image", "build", "-t", "box:1", "--entrypoint", "/busybox", dir)
	c.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+l.p.url, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+l.account)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	schemas := glue.NewFromConfig(l.cfg)
	_, err = schemas.CreateRegistry(t.Context(), &glue.CreateRegistryInput{RegistryName: aws.String("shop")})
	l.must(err)
	text := func(fields string) *string {
		return aws.String(`{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}` + fields + `]}`)
	}
	id := &gluetypes.SchemaId{RegistryName: aws.String("shop"), SchemaName: aws.String("order")}
	_, err = schemas.CreateSchema(t.Context(), &glue.CreateSchemaInput{RegistryId: &gluetypes.RegistryId{RegistryName: id.RegistryName}, SchemaName: id.SchemaName,
		DataFormat: gluetypes.DataFormatAvro, Compatibility: gluetypes.CompatibilityNone, SchemaDefinition: text("")})
	l.must(err)
	minor, err := schemas.RegisterSchemaVersion(t.Context(), &glue.RegisterSchemaVersionInput{SchemaId: id, SchemaDefinition: text(`, {"name": "note", "type": "string", "default": ""}`)})
	l.must(err)
	_, err = schemas.RegisterSchemaVersion(t.Context(), &glue.RegisterSchemaVersionInput{SchemaId: id, SchemaDefinition: text(`, {"name": "total", "type": "long"}`)})
	l.must(err)

	script := `for p in schemas/shop/order/versions/1.0.0 schemas/shop/order/versions/^1 schemas/shop/order/versions/latest ids/` + *minor.SchemaVersionId + `; do
		/busybox wget -q -O - $DHOW_SCHEMA_URI/$p || exit 1
		echo
	done
	/busybox wget -S -O /dev/null $DHOW_SCHEMA_URI/schemas/shop/order/versions/^1 2>&1 || exit 1
	/busybox wget -q -O - "$DHOW_SCHEMA_URI/schemas/shop/order/versions/~1.1?format=json" || exit 1
	/busybox wget -O - $DHOW_SCHEMA_URI/schemas/shop/order/versions/^7 2>&1
	/busybox wget -O - $DHOW_SCHEMA_URI/schemas/shop/nothing/versions/latest 2>&1; true`
	for _, c := range []struct {
		mode types.NetworkMode
		role *string
	}{
		{types.NetworkModeAwsvpc, aws.String("arn:aws:iam::" + l.account + ":role/orders")},
		{types.NetworkModeBridge, nil},
		{types.NetworkModeHost, aws.String("arn:aws:iam::" + l.account + ":role/orders")},
	} {
		t.Run(string(c.mode), func(t *testing.T) {
			l := l.in(t)
			box := l.probe("sh", "-c", script)
			box.Image = aws.String(l.account + ".dkr.ecr.us-east-1.amazonaws.com/box:1")
			task := l.run(c.mode, &ecs.RegisterTaskDefinitionInput{TaskRoleArn: c.role, ContainerDefinitions: []types.ContainerDefinition{box}})
			ended := l.stopped(task)
			said := l.said(task)
			if code := ended.Containers[0].ExitCode; code == nil || *code != 0 {
				t.Fatalf("it ended with %v and said\n%s", code, said)
			}
			want := strings.Join([]string{*text(""), *text(`, {"name": "note", "type": "string", "default": ""}`), *text(`, {"name": "total", "type": "long"}`),
				*text(`, {"name": "note", "type": "string", "default": ""}`)}, "\n")
			if !strings.HasPrefix(said, want+"\n") {
				t.Errorf("it said\n%s\nwant\n%s", said, want)
			}
			for _, w := range []string{"X-Schema-Version: 1.1.0", "X-Schema-Version-Id: " + *minor.SchemaVersionId, "Etag: \"", `"Version":"1.1.0"`, "404 Not Found"} {
				if !strings.Contains(said, w) {
					t.Errorf("it did not say %q:\n%s", w, said)
				}
			}
		})
	}
}
