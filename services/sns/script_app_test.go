package sns

import (
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// appScripts are cases of endpoints of platform applications.
var appScripts = map[string]func(r *run, variant string){
	"test_create_platform_application_invalid_attributes": func(r *run, _ string) {
		r.step("platform-application-no-attributes", r.form("/", url.Values{"Action": {"CreatePlatformApplication"}, "Name": {"x"}, "Platform": {"ADM"}}))
	},
	"test_set_platform_application_attributes_invalid_arn": func(r *run, _ string) {
		out, err := r.client.SetPlatformApplicationAttributes(r.ctx, &sns.SetPlatformApplicationAttributesInput{PlatformApplicationArn: ptr("invalid"), Attributes: pairs([]string{"Dummy", "x"})})
		r.step("invalid-application-arn", r.answer(out, err))
	},
	"test_set_platform_application_attributes_non_existing_app": func(r *run, _ string) {
		out, err := r.client.SetPlatformApplicationAttributes(r.ctx, &sns.SetPlatformApplicationAttributesInput{PlatformApplicationArn: ptr(topicARN("app/ADM/none")), Attributes: pairs([]string{"Dummy", "x"})})
		r.step("non_existing-application-arn", r.answer(out, err))
	},
	"test_create_platform_endpoint_custom_data": func(r *run, _ string) {
		out, err := r.client.CreatePlatformEndpoint(r.ctx, &sns.CreatePlatformEndpointInput{PlatformApplicationArn: ptr(r.app()), Token: ptr("token_1"), CustomUserData: ptr("foo"), Attributes: pairs([]string{"CustomUserData", "bar"})})
		must(r.t, err)
		got, err := r.client.GetEndpointAttributes(r.ctx, &sns.GetEndpointAttributesInput{EndpointArn: out.EndpointArn})
		r.step("create-endpoint-double-custom-data", r.answer(got, err))
	},
	"test_create_platform_endpoint_idempotency": func(r *run, _ string) {
		app := r.app()
		r.step("create-platform-endpoint", r.end(app, "token_1", "CustomUserData", "a"))
		r.step("create-platform-endpoint-idempotent", r.end(app, "token_1", "CustomUserData", "a"))
		r.step("create-platform-endpoint-different-token", r.end(app, "token_1", "CustomUserData", "b"))
	},
	"test_create_platform_endpoint_non_existent_app": func(r *run, _ string) {
		r.step("create-platform-endpoint", r.end(topicARN("app/ADM/none"), "token_1"))
	},
	"test_create_platform_endpoint_with_invalid_attributes": func(r *run, variant string) {
		name, v := "PlatformCredential", "x"
		if variant == "Data_Too_Long" {
			name, v = "CustomUserData", strings.Repeat("x", 2049)
		}
		r.step("create-platform-endpoint-invalid-attr", r.end(r.app(), "token_1", name, v))
	},
	"test_delete_endpoints_of_deleted_app": func(r *run, _ string) {
		app := r.app()
		r.end(app, "token_1")
		out, err := r.client.DeletePlatformApplication(r.ctx, &sns.DeletePlatformApplicationInput{PlatformApplicationArn: &app})
		r.step("delete-application", r.answer(out, err))
		r.step("list-endpoints-after-app-delete", r.ends(app))
	},
	"test_delete_platform_endpoint": func(r *run, _ string) {
		app := r.app()
		end := r.end(app, "token_1")["EndpointArn"].(string)
		r.step("list-endpoints-by-app-pre-delete", r.ends(app))
		out, err := r.client.DeleteEndpoint(r.ctx, &sns.DeleteEndpointInput{EndpointArn: &end})
		r.step("delete-endpoint", r.answer(out, err))
		r.step("list-endpoints-by-app-post-delete", r.ends(app))
	},
	"test_delete_platform_endpoint_with_subscription": func(r *run, _ string) {
		end := r.end(r.app(), "token_1")["EndpointArn"].(string)
		a := r.topic("a")
		r.subscribe(a, "application", end)
		list := func() object {
			out, err := r.client.ListSubscriptions(r.ctx, &sns.ListSubscriptionsInput{})
			got := r.answer(out, err)
			got["NextToken"] = "of an account with more"
			return got
		}
		r.step("list-subscriptions-pre-delete", list())
		delete(r.bound, "<next-token:1>")
		out, err := r.client.DeleteEndpoint(r.ctx, &sns.DeleteEndpointInput{EndpointArn: &end})
		r.step("delete-endpoint", r.answer(out, err))
		r.step("list-subscriptions-post-delete", list())
	},
	"test_set_platform_endpoint_attributes": func(r *run, _ string) {
		end := r.end(r.app(), "token_1")["EndpointArn"].(string)
		out, err := r.client.SetEndpointAttributes(r.ctx, &sns.SetEndpointAttributesInput{EndpointArn: &end, Attributes: pairs([]string{"Enabled", "false"})})
		r.step("set-platform-endpoint-attributes", r.answer(out, err))
		got, err := r.client.GetEndpointAttributes(r.ctx, &sns.GetEndpointAttributesInput{EndpointArn: &end})
		r.step("get-platform-endpoint-attributes", r.answer(got, err))
	},
	"test_set_platform_endpoint_attributes_invalid_attributes": func(r *run, variant string) {
		end := r.end(r.app(), "token_1")["EndpointArn"].(string)
		if variant == "Empty" {
			r.step("set-platform-endpoint-invalid-attributes", r.form("/", url.Values{"Action": {"SetEndpointAttributes"}, "EndpointArn": {end}}))
			return
		}
		out, err := r.client.SetEndpointAttributes(r.ctx, &sns.SetEndpointAttributesInput{EndpointArn: &end, Attributes: pairs([]string{"CustomUserData", strings.Repeat("x", 2049)})})
		r.step("set-platform-endpoint-invalid-attributes", r.answer(out, err))
	},
}
