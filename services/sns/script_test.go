package sns

import (
	"encoding/xml"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/dhowhq/dhow/cluster"
)

func mapKeys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }

// form sends a request as it is, for what the SDK would not send.
func (r *run) form(path string, form url.Values) object {
	r.t.Helper()
	req, err := http.NewRequest("POST", r.url+path, strings.NewReader(form.Encode()))
	must(r.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+account+"/20240101/"+region+"/sns/aws4_request, SignedHeaders=host, Signature=x")
	resp, err := http.DefaultClient.Do(req)
	must(r.t, err)
	defer resp.Body.Close()
	var root element
	must(r.t, xml.NewDecoder(resp.Body).Decode(&root))
	if resp.StatusCode == 200 {
		return object{root.XMLName.Local: root.object()}
	}
	e := root.object().(object)["Error"].(object)
	r.said[fmt.Sprintf("%v\t%d\t%v", e["Code"], resp.StatusCode, e["Message"])] = true
	return object{"Error": e, "ResponseMetadata": object{"HTTPStatusCode": float64(resp.StatusCode)}}
}

// get asks as a browser does and returns the raw answer as recordings show it.
func (r *run) get(target string) object {
	r.t.Helper()
	resp, err := http.Get(target)
	must(r.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	must(r.t, err)
	var root element
	must(r.t, xml.Unmarshal(data, &root))
	out := root.object().(object)
	if e, ok := out["Error"].(object); ok {
		r.said[e["Code"].(string)+"\t400\t"+e["Message"].(string)] = true
	} else {
		out["ResponseMetadata"] = object{"HTTPStatusCode": 200}
	}
	return object{root.XMLName.Local: out}
}

func (r *run) topicAttributes(arn string) object {
	out, err := r.client.GetTopicAttributes(r.ctx, &sns.GetTopicAttributesInput{TopicArn: &arn})
	return r.answer(out, err)
}

func (r *run) subAttributes(arn string) object {
	out, err := r.client.GetSubscriptionAttributes(r.ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
	return r.answer(out, err)
}

func (r *run) trySubscribe(topicARN, protocol, endpoint string, attributes ...string) object {
	out, err := r.client.Subscribe(r.ctx, &sns.SubscribeInput{TopicArn: &topicARN, Protocol: &protocol, Endpoint: &endpoint, Attributes: pairs(attributes)})
	return r.answer(out, err)
}

func (r *run) trySet(sub, name, value string) object {
	out, err := r.client.SetSubscriptionAttributes(r.ctx, &sns.SetSubscriptionAttributesInput{SubscriptionArn: &sub, AttributeName: &name, AttributeValue: &value})
	return r.answer(out, err)
}

func (r *run) setTopic(arn, name, value string) object {
	out, err := r.client.SetTopicAttributes(r.ctx, &sns.SetTopicAttributesInput{TopicArn: &arn, AttributeName: &name, AttributeValue: &value})
	return r.answer(out, err)
}

func (r *run) tryPublish(in *sns.PublishInput) object {
	out, err := r.client.Publish(r.ctx, in)
	return r.answer(out, err)
}

func (r *run) unsubscribe(arn string) object {
	out, err := r.client.Unsubscribe(r.ctx, &sns.UnsubscribeInput{SubscriptionArn: &arn})
	return r.answer(out, err)
}

func (r *run) confirm(topicARN, token string) object {
	out, err := r.client.ConfirmSubscription(r.ctx, &sns.ConfirmSubscriptionInput{TopicArn: &topicARN, Token: &token})
	return r.answer(out, err)
}

func (r *run) app() string {
	out, err := r.client.CreatePlatformApplication(r.ctx, &sns.CreatePlatformApplicationInput{Name: ptr("app"), Platform: ptr("ADM"), Attributes: pairs([]string{"PlatformCredential", "x", "PlatformPrincipal", "y"})})
	must(r.t, err)
	return *out.PlatformApplicationArn
}

func (r *run) end(app, token string, attributes ...string) object {
	out, err := r.client.CreatePlatformEndpoint(r.ctx, &sns.CreatePlatformEndpointInput{PlatformApplicationArn: &app, Token: &token, Attributes: pairs(attributes)})
	return r.answer(out, err)
}

func (r *run) ends(app string) object {
	out, err := r.client.ListEndpointsByPlatformApplication(r.ctx, &sns.ListEndpointsByPlatformApplicationInput{PlatformApplicationArn: &app})
	return r.answer(out, err)
}

func (r *run) subs(topicARN string) object {
	out, err := r.client.ListSubscriptionsByTopic(r.ctx, &sns.ListSubscriptionsByTopicInput{TopicArn: &topicARN})
	return r.answer(out, err)
}

func numberOf(v string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: ptr("Number"), StringValue: &v}
}

type attrs = map[string]types.MessageAttributeValue

// removeQueue deletes a queue by ARN.
func (r *run) removeQueue(arn string) {
	r.t.Helper()
	name := arn[strings.LastIndexByte(arn, ':')+1:]
	must(r.t, r.queues.Remove(r.ctx, cluster.Scope{Account: account, Region: region}, name))
}

const longToken = "51b2ff3edb475b7d91550e0ab6edf0c1de2a34e6ebaf6c2262a001bcb7e053c3aa00"

// none is an empty answer of a queue.
var noMessages = object{"ResponseMetadata": object{"HTTPStatusCode": 200.0}}

// silent holds that a queue gets nothing.
func (r *run) silent(step, queue string) {
	r.t.Helper()
	r.none(queue)
	r.step(step, noMessages)
}

// scripts are the cases by name.
var scripts = joined(appScripts, publishScripts, phoneScripts, subscriptionScripts, deliveryScripts, topicScripts, filterScripts)

// joined holds that no case is there twice.
func joined(all ...map[string]func(r *run, variant string)) map[string]func(r *run, variant string) {
	out := map[string]func(r *run, variant string){}
	for _, scripts := range all {
		for name, script := range scripts {
			if out[name] != nil {
				panic("two scripts for " + name)
			}
			out[name] = script
		}
	}
	return out
}

func second[T any](_ T, err error) error { return err }
