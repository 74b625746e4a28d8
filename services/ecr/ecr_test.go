package ecr

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/smithy-go"

	"github.com/dhowhq/dhow/image"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store/storetest"
)

const account = "123456789012"

type fixture struct {
	*testing.T
	*ecr.Client
	images *image.Store
}

// newFixture serves the API and the registry at one address, as the platform does.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	s, err := image.Open(image.Config{Dir: t.TempDir(), DB: storetest.Open(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	api, err := awsapi.New(awsapi.Config{}, awsapi.Service{Model: "ecr", API: New(Config{Images: s})})
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Verify(); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2") {
			s.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	c := ecr.New(ecr.Options{BaseEndpoint: &srv.URL, Region: "eu-west-1", Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(account, "x", "")})
	return &fixture{t, c, s}
}

var ctx = context.Background()

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// refused wants an error of the code whose words hold text.
func (f *fixture) refused(err error, code, text string) {
	f.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), text) {
		f.Errorf("error is %v, want %s: %s", err, code, text)
	}
}

// layer uploads a layer by the API and returns its digest.
func (f *fixture) layer(repo, text string) string {
	f.Helper()
	up, err := f.InitiateLayerUpload(ctx, &ecr.InitiateLayerUploadInput{RepositoryName: &repo})
	f.must(err)
	_, err = f.UploadLayerPart(ctx, &ecr.UploadLayerPartInput{RepositoryName: &repo, UploadId: up.UploadId, LayerPartBlob: []byte(text), PartFirstByte: ptr(int64(0)), PartLastByte: ptr(int64(len(text) - 1))})
	f.must(err)
	d := image.Digest([]byte(text))
	_, err = f.CompleteLayerUpload(ctx, &ecr.CompleteLayerUploadInput{RepositoryName: &repo, UploadId: up.UploadId, LayerDigests: []string{d}})
	f.must(err)
	return d
}

// manifest is an image of one configuration and one layer.
func manifest(config, layer string, note string) string {
	return `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` +
		config + `","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"` + layer + `","size":100}],"annotations":{"n":"` + note + `"}}`
}

func TestRepositories(t *testing.T) {
	f := newFixture(t)
	out, err := f.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: ptr("team/app"), Tags: []types.Tag{{Key: ptr("a"), Value: ptr("1")}}})
	f.must(err)
	r := out.Repository
	if *r.RepositoryUri != account+".dkr.ecr.eu-west-1.amazonaws.com/team/app" || *r.RepositoryArn != "arn:aws:ecr:eu-west-1:"+account+":repository/team/app" ||
		r.ImageTagMutability != types.ImageTagMutabilityMutable || r.EncryptionConfiguration.EncryptionType != types.EncryptionTypeAes256 || *r.RegistryId != account {
		t.Errorf("repository is %+v", r)
	}
	_, err = f.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: ptr("team/app")})
	f.refused(err, "RepositoryAlreadyExistsException", "The repository with name 'team/app' already exists in the registry with id '"+account+"'")
	_, err = f.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: ptr("../etc")})
	f.refused(err, "InvalidParameterException", "")
	_, err = f.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{"none"}})
	f.refused(err, "RepositoryNotFoundException", "The repository with name 'none' does not exist in the registry with id '"+account+"'")

	_, err = f.TagResource(ctx, &ecr.TagResourceInput{ResourceArn: r.RepositoryArn, Tags: []types.Tag{{Key: ptr("b"), Value: ptr("2")}}})
	f.must(err)
	_, err = f.UntagResource(ctx, &ecr.UntagResourceInput{ResourceArn: r.RepositoryArn, TagKeys: []string{"a"}})
	f.must(err)
	tags, err := f.ListTagsForResource(ctx, &ecr.ListTagsForResourceInput{ResourceArn: r.RepositoryArn})
	f.must(err)
	if len(tags.Tags) != 1 || *tags.Tags[0].Key != "b" {
		t.Errorf("tags are %v", tags.Tags)
	}

	for _, n := range []string{"b1", "b2", "b3"} {
		_, err := f.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: &n})
		f.must(err)
	}
	var names []string
	pages := ecr.NewDescribeRepositoriesPaginator(f.Client, &ecr.DescribeRepositoriesInput{MaxResults: ptr(int32(3))})
	for pages.HasMorePages() {
		p, err := pages.NextPage(ctx)
		f.must(err)
		for _, r := range p.Repositories {
			names = append(names, *r.RepositoryName)
		}
	}
	if strings.Join(names, " ") != "b1 b2 b3 team/app" {
		t.Errorf("pages are %v", names)
	}
	other, err := f.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{}, func(o *ecr.Options) { o.Region = "us-east-1" })
	f.must(err)
	if len(other.Repositories) != 0 {
		t.Errorf("another region has %v", other.Repositories)
	}
}

func TestPolicies(t *testing.T) {
	f := newFixture(t)
	repo := ptr("app")
	_, err := f.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: repo})
	f.must(err)
	_, err = f.GetRepositoryPolicy(ctx, &ecr.GetRepositoryPolicyInput{RepositoryName: repo})
	f.refused(err, "RepositoryPolicyNotFoundException", "Repository policy does not exist for the repository with name 'app'")
	_, err = f.GetLifecyclePolicy(ctx, &ecr.GetLifecyclePolicyInput{RepositoryName: repo})
	f.refused(err, "LifecyclePolicyNotFoundException", "Lifecycle policy does not exist for the repository with name 'app' in the registry with id '"+account+"'")
	text := `{"rules":[{"rulePriority":1,"description":"keep one","selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}]}`
	_, err = f.PutLifecyclePolicy(ctx, &ecr.PutLifecyclePolicyInput{RepositoryName: repo, LifecyclePolicyText: &text})
	f.must(err)
	got, err := f.GetLifecyclePolicy(ctx, &ecr.GetLifecyclePolicyInput{RepositoryName: repo})
	f.must(err)
	if *got.LifecyclePolicyText != text {
		t.Errorf("policy is %s", *got.LifecyclePolicyText)
	}
	_, err = f.PutLifecyclePolicy(ctx, &ecr.PutLifecyclePolicyInput{RepositoryName: repo, LifecyclePolicyText: ptr(strings.Replace(text, "expire", "explode", 1))})
	f.refused(err, "InvalidParameterException", "explode")
	policy := `{"Version":"2012-10-17","Statement":[]}`
	_, err = f.SetRepositoryPolicy(ctx, &ecr.SetRepositoryPolicyInput{RepositoryName: repo, PolicyText: &policy})
	f.must(err)
	_, err = f.DeleteRepositoryPolicy(ctx, &ecr.DeleteRepositoryPolicyInput{RepositoryName: repo})
	f.must(err)
	_, err = f.DeleteRepositoryPolicy(ctx, &ecr.DeleteRepositoryPolicyInput{RepositoryName: repo})
	f.refused(err, "RepositoryPolicyNotFoundException", "")
}

func TestImages(t *testing.T) {
	f := newFixture(t)
	repo := ptr("app")
	_, err := f.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: repo})
	f.must(err)
	_, err = f.PutImage(ctx, &ecr.PutImageInput{RepositoryName: repo, ImageTag: ptr("v1"), ImageManifest: ptr(manifest(image.Digest([]byte("x")), image.Digest([]byte("y")), ""))})
	f.refused(err, "LayersNotFoundException", "not found in repository with name 'app'")
	config, layer := f.layer("app", "{}"), f.layer("app", "layer")
	put := func(note, tag string) string {
		t.Helper()
		out, err := f.PutImage(ctx, &ecr.PutImageInput{RepositoryName: repo, ImageTag: &tag, ImageManifest: ptr(manifest(config, layer, note))})
		f.must(err)
		return *out.Image.ImageId.ImageDigest
	}
	one := put("one", "v1")
	_, err = f.PutImage(ctx, &ecr.PutImageInput{RepositoryName: repo, ImageTag: ptr("v1"), ImageManifest: ptr(manifest(config, layer, "one"))})
	f.refused(err, "ImageAlreadyExistsException", "Image with digest '"+one+"' and tag 'v1' already exists")
	put("one", "latest")
	two := put("two", "v1") // one is left with latest

	list := func(status types.TagStatus) string {
		out, err := f.ListImages(ctx, &ecr.ListImagesInput{RepositoryName: repo, Filter: &types.ListImagesFilter{TagStatus: status}})
		f.must(err)
		var tags []string
		for _, i := range out.ImageIds {
			tags = append(tags, deref(i.ImageTag)+"="+map[string]string{one: "one", two: "two"}[*i.ImageDigest])
		}
		if len(tags) == 2 && tags[0] > tags[1] {
			tags[0], tags[1] = tags[1], tags[0]
		}
		return strings.Join(tags, " ")
	}
	if got := list(types.TagStatusTagged); got != "latest=one v1=two" {
		t.Errorf("images are %s", got)
	}
	d, err := f.DescribeImages(ctx, &ecr.DescribeImagesInput{RepositoryName: repo, ImageIds: []types.ImageIdentifier{{ImageTag: ptr("v1")}}})
	f.must(err)
	if i := d.ImageDetails[0]; *i.ImageDigest != two || *i.ImageSizeInBytes != 102 || len(i.ImageTags) != 1 || i.ImagePushedAt.IsZero() {
		t.Errorf("detail is %+v", i)
	}
	_, err = f.DescribeImages(ctx, &ecr.DescribeImagesInput{RepositoryName: repo, ImageIds: []types.ImageIdentifier{{ImageTag: ptr("v9")}}})
	f.refused(err, "ImageNotFoundException", "The image with imageId {imageDigest:'null', imageTag:'v9'} does not exist within the repository with name 'app' in the registry with id '"+account+"'")

	got, err := f.BatchGetImage(ctx, &ecr.BatchGetImageInput{RepositoryName: repo, ImageIds: []types.ImageIdentifier{{ImageTag: ptr("v1")}, {ImageTag: ptr("v9")}, {}, {ImageDigest: ptr("nonsense")}, {ImageDigest: &one, ImageTag: ptr("v1")}}})
	f.must(err)
	if len(got.Images) != 1 || *got.Images[0].ImageManifest != manifest(config, layer, "two") {
		t.Errorf("images are %v", got.Images)
	}
	var codes []string
	for _, x := range got.Failures {
		codes = append(codes, string(x.FailureCode))
	}
	if strings.Join(codes, " ") != "ImageNotFound MissingDigestAndTag InvalidImageDigest ImageTagDoesNotMatchDigest" {
		t.Errorf("failures are %v", codes)
	}

	_, err = f.DeleteRepository(ctx, &ecr.DeleteRepositoryInput{RepositoryName: repo})
	f.refused(err, "RepositoryNotEmptyException", "The repository with name 'app' in registry with id '"+account+"' cannot be deleted because it still contains images")
	gone, err := f.BatchDeleteImage(ctx, &ecr.BatchDeleteImageInput{RepositoryName: repo, ImageIds: []types.ImageIdentifier{{ImageTag: ptr("latest")}, {ImageDigest: &two}}})
	f.must(err)
	if len(gone.ImageIds) != 2 || *gone.ImageIds[0].ImageDigest != one || *gone.ImageIds[1].ImageTag != "v1" || len(gone.Failures) != 0 {
		t.Errorf("deleted %v, failures %v", gone.ImageIds, gone.Failures)
	}
	if got := list(types.TagStatusAny); got != "" {
		t.Errorf("images are left: %s", got)
	}
	_, err = f.DeleteRepository(ctx, &ecr.DeleteRepositoryInput{RepositoryName: repo})
	f.must(err)
}

func TestImmutable(t *testing.T) {
	f := newFixture(t)
	repo := ptr("app")
	_, err := f.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: repo, ImageTagMutability: types.ImageTagMutabilityImmutable})
	f.must(err)
	config, layer := f.layer("app", "{}"), f.layer("app", "layer")
	put := func(note, tag string) error {
		_, err := f.PutImage(ctx, &ecr.PutImageInput{RepositoryName: repo, ImageTag: &tag, ImageManifest: ptr(manifest(config, layer, note))})
		return err
	}
	f.must(put("one", "v1"))
	f.refused(put("two", "v1"), "ImageTagAlreadyExistsException", "The image tag 'v1' already exists in the 'app' repository and cannot be overwritten")
	_, err = f.PutImageTagMutability(ctx, &ecr.PutImageTagMutabilityInput{RepositoryName: repo, ImageTagMutability: types.ImageTagMutabilityImmutableWithExclusion,
		ImageTagMutabilityExclusionFilters: []types.ImageTagMutabilityExclusionFilter{{FilterType: types.ImageTagMutabilityExclusionFilterTypeWildcard, Filter: ptr("dev-*")}}})
	f.must(err)
	f.must(put("one", "dev-1"))
	f.must(put("two", "dev-1"))
	f.refused(put("two", "v1"), "ImageTagAlreadyExistsException", "")
	_, err = f.PutImageTagMutability(ctx, &ecr.PutImageTagMutabilityInput{RepositoryName: repo, ImageTagMutability: types.ImageTagMutabilityImmutableWithExclusion})
	f.refused(err, "InvalidParameterException", "exclusion filters")
}

func TestLayers(t *testing.T) {
	f := newFixture(t)
	repo := ptr("app")
	_, err := f.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: repo})
	f.must(err)
	d := f.layer("app", "hello layer")
	up, err := f.InitiateLayerUpload(ctx, &ecr.InitiateLayerUploadInput{RepositoryName: repo})
	f.must(err)
	_, err = f.CompleteLayerUpload(ctx, &ecr.CompleteLayerUploadInput{RepositoryName: repo, UploadId: up.UploadId, LayerDigests: []string{d}})
	f.refused(err, "EmptyUploadException", "no layer parts")
	_, err = f.UploadLayerPart(ctx, &ecr.UploadLayerPartInput{RepositoryName: repo, UploadId: up.UploadId, LayerPartBlob: []byte("abc"), PartFirstByte: ptr(int64(5)), PartLastByte: ptr(int64(7))})
	f.refused(err, "InvalidLayerPartException", "the next byte is 0")
	_, err = f.UploadLayerPart(ctx, &ecr.UploadLayerPartInput{RepositoryName: repo, UploadId: up.UploadId, LayerPartBlob: []byte("abc"), PartFirstByte: ptr(int64(0)), PartLastByte: ptr(int64(2))})
	f.must(err)
	_, err = f.CompleteLayerUpload(ctx, &ecr.CompleteLayerUploadInput{RepositoryName: repo, UploadId: up.UploadId, LayerDigests: []string{image.Digest([]byte("other"))}})
	f.refused(err, "InvalidLayerException", "")
	_, err = f.CompleteLayerUpload(ctx, &ecr.CompleteLayerUploadInput{RepositoryName: repo, UploadId: up.UploadId, LayerDigests: []string{d}})
	f.refused(err, "UploadNotFoundException", "")

	none := image.Digest([]byte("none"))
	av, err := f.BatchCheckLayerAvailability(ctx, &ecr.BatchCheckLayerAvailabilityInput{RepositoryName: repo, LayerDigests: []string{d, none}})
	f.must(err)
	if av.Layers[0].LayerAvailability != types.LayerAvailabilityAvailable || *av.Layers[0].LayerSize != 11 || av.Layers[1].LayerAvailability != types.LayerAvailabilityUnavailable {
		t.Errorf("availability is %+v", av.Layers)
	}
	url, err := f.GetDownloadUrlForLayer(ctx, &ecr.GetDownloadUrlForLayerInput{RepositoryName: repo, LayerDigest: &d})
	f.must(err)
	res, err := http.Get(*url.DownloadUrl)
	f.must(err)
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); !bytes.Equal(b, []byte("hello layer")) {
		t.Errorf("%s answers %s %q", *url.DownloadUrl, res.Status, b)
	}
	_, err = f.GetDownloadUrlForLayer(ctx, &ecr.GetDownloadUrlForLayerInput{RepositoryName: repo, LayerDigest: &none})
	f.refused(err, "LayersNotFoundException", "")
}

func TestToken(t *testing.T) {
	f := newFixture(t)
	out, err := f.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	f.must(err)
	d := out.AuthorizationData[0]
	text, err := base64.StdEncoding.DecodeString(*d.AuthorizationToken)
	f.must(err)
	if !strings.HasPrefix(string(text), "AWS:") || *d.ProxyEndpoint != "https://"+account+".dkr.ecr.eu-west-1.amazonaws.com" || d.ExpiresAt.IsZero() {
		t.Errorf("token is %q for %s until %v", text, *d.ProxyEndpoint, d.ExpiresAt)
	}
}

// TestLargeParts uploads in parts of the size that is suggested, and in the
// largest that the model admits.
func TestLargeParts(t *testing.T) {
	f := newFixture(t)
	repo := ptr("app")
	_, err := f.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: repo})
	f.must(err)
	up, err := f.InitiateLayerUpload(ctx, &ecr.InitiateLayerUploadInput{RepositoryName: repo})
	f.must(err)
	var all []byte
	for _, size := range []int64{*up.PartSize, 20 << 20, 1} {
		part := bytes.Repeat([]byte{byte(size), 7, byte(len(all))}, int(size)/3+1)[:size]
		first := int64(len(all))
		all = append(all, part...)
		_, err := f.UploadLayerPart(ctx, &ecr.UploadLayerPartInput{RepositoryName: repo, UploadId: up.UploadId, LayerPartBlob: part, PartFirstByte: &first, PartLastByte: ptr(first + size - 1)})
		f.must(err)
	}
	_, err = f.CompleteLayerUpload(ctx, &ecr.CompleteLayerUploadInput{RepositoryName: repo, UploadId: up.UploadId, LayerDigests: []string{image.Digest(all)}})
	f.must(err)
}

// TestDescribeFiltered: a filter counts for named images too.
func TestDescribeFiltered(t *testing.T) {
	f := newFixture(t)
	repo := ptr("app")
	_, err := f.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: repo})
	f.must(err)
	config, layer := f.layer("app", "{}"), f.layer("app", "layer")
	var ids []types.ImageIdentifier
	for _, tag := range []*string{ptr("v1"), nil} {
		out, err := f.PutImage(ctx, &ecr.PutImageInput{RepositoryName: repo, ImageTag: tag, ImageManifest: ptr(manifest(config, layer, deref(tag)))})
		f.must(err)
		ids = append(ids, types.ImageIdentifier{ImageDigest: out.Image.ImageId.ImageDigest})
	}
	for i, status := range []types.TagStatus{types.TagStatusTagged, types.TagStatusUntagged} {
		for _, named := range [][]types.ImageIdentifier{nil, ids} {
			out, err := f.DescribeImages(ctx, &ecr.DescribeImagesInput{RepositoryName: repo, ImageIds: named, Filter: &types.DescribeImagesFilter{TagStatus: status}})
			f.must(err)
			if len(out.ImageDetails) != 1 || *out.ImageDetails[0].ImageDigest != *ids[i].ImageDigest {
				t.Errorf("%s of %d named images are %+v", status, len(named), out.ImageDetails)
			}
		}
	}
}
