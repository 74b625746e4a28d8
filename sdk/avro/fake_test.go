package avro

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
)

// fakeGlue answers from memory, and can be made to fail, hang and lie.
type fakeGlue struct {
	mu       sync.Mutex
	versions []*Version // of one schema, by their numbers from 1; nil: deleted
	status   map[int]types.SchemaVersionStatus
	calls    int
	delay    time.Duration // before each answer; a context may end it
	fail     error
	lie      func(*glue.GetSchemaVersionOutput)
}

func (f *fakeGlue) add(v *Version) *Version {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v.UUID[15] == 0 {
		v.UUID = newUUID()
	}
	f.versions = append(f.versions, must(parse(v)))
	return v
}

func (f *fakeGlue) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// asked is how many calls there were since it was asked last.
func (f *fakeGlue) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.calls = 0 }()
	return f.calls
}

func (f *fakeGlue) wait(ctx context.Context) error {
	f.mu.Lock()
	f.calls++
	delay, fail := f.delay, f.fail
	f.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(delay):
		return fail
	}
}

func (f *fakeGlue) GetSchemaVersion(ctx context.Context, in *glue.GetSchemaVersionInput, _ ...func(*glue.Options)) (*glue.GetSchemaVersionOutput, error) {
	if err := f.wait(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.versions); i > 0; i-- {
		v := f.versions[i-1]
		if v == nil {
			continue
		}
		n := in.SchemaVersionNumber
		byID := in.SchemaVersionId != nil && *in.SchemaVersionId == v.UUID.String()
		byNumber := n != nil && v.Name == *in.SchemaId.RegistryName+"/"+*in.SchemaId.SchemaName && (n.LatestVersion || *n.VersionNumber == int64(i))
		if !byID && !byNumber {
			continue
		}
		out := &glue.GetSchemaVersionOutput{
			SchemaArn: aws.String("arn:aws:glue:us-east-1:000000000000:schema/" + v.Name), SchemaVersionId: aws.String(v.UUID.String()),
			SchemaDefinition: &v.Definition, DataFormat: types.DataFormatAvro, VersionNumber: aws.Int64(int64(i)), Status: types.SchemaVersionStatusAvailable,
		}
		if s, ok := f.status[i]; ok {
			out.Status = s
		}
		if f.lie != nil {
			f.lie(out)
		}
		return out, nil
	}
	return nil, &types.EntityNotFoundException{Message: aws.String("Schema version is not found.")}
}

func (f *fakeGlue) QuerySchemaVersionMetadata(ctx context.Context, in *glue.QuerySchemaVersionMetadataInput, _ ...func(*glue.Options)) (*glue.QuerySchemaVersionMetadataOutput, error) {
	if err := f.wait(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range f.versions {
		if v == nil || v.UUID.String() != *in.SchemaVersionId {
			continue
		}
		out := &glue.QuerySchemaVersionMetadataOutput{SchemaVersionId: in.SchemaVersionId}
		if in.NextToken == nil && v.Version != "" { // the semantic version is on the second page
			out.NextToken = aws.String("more")
			out.MetadataInfoMap = map[string]types.MetadataInfo{"owner": {MetadataValue: aws.String("shop")}}
		} else if v.Version != "" {
			out.MetadataInfoMap = map[string]types.MetadataInfo{"semver": {MetadataValue: &v.Version}}
		}
		return out, nil
	}
	return nil, &types.EntityNotFoundException{Message: aws.String("Schema version is not found.")}
}
