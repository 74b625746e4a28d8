package ecs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// eventTime is how EventBridge writes an event's own time; times in details
// have milliseconds.
const (
	eventTime  = "2006-01-02T15:04:05Z"
	detailTime = "2006-01-02T15:04:05.000Z"
)

// EventRenderer returns the function that turns events of the engines into the
// JSON which ECS sends to EventBridge. The forms are those of the developer
// guide's pages on ECS events.
func EventRenderer(db *store.DB) func(cluster.Event) ([]byte, error) {
	return func(e cluster.Event) ([]byte, error) {
		detail, err := eventDetail(db, e)
		if err != nil {
			return nil, err
		}
		return json.Marshal(struct {
			Version    string         `json:"version"`
			ID         string         `json:"id"`
			DetailType cluster.Kind   `json:"detail-type"`
			Source     string         `json:"source"`
			Account    string         `json:"account"`
			Time       string         `json:"time"`
			Region     string         `json:"region"`
			Resources  []string       `json:"resources"`
			Detail     map[string]any `json:"detail"`
		}{"0", eventID(e), e.Kind, "aws.ecs", e.Account, e.At.UTC().Format(eventTime), e.Region, []string{e.Resource}, detail})
	}
}

// eventID is a UUID that stays the same when an event is delivered again.
func eventID(e cluster.Event) string {
	sum := sha256.Sum256([]byte(e.ID))
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func eventDetail(db *store.DB, e cluster.Event) (map[string]any, error) {
	switch {
	case e.Task != nil:
		return taskDetail(e), nil
	case e.Instance != nil:
		return instanceDetail(db, e)
	case e.Action != nil && e.Kind == cluster.DeploymentStateChange:
		return map[string]any{"eventType": e.Action.Type, "eventName": e.Action.Name, "deploymentId": e.Action.Deployment,
			"updatedAt": e.At.UTC().Format(detailTime), "reason": e.Action.Reason}, nil
	case e.Action != nil:
		detail := map[string]any{"eventType": e.Action.Type, "eventName": e.Action.Name, "clusterArn": e.Action.Cluster,
			"createdAt": e.Action.CreatedAt.UTC().Format(detailTime)}
		if e.Action.Reason != "" {
			detail["reason"] = e.Action.Reason
		}
		return detail, nil
	}
	return nil, fmt.Errorf("event %s holds nothing", e.ID)
}

func taskDetail(e cluster.Event) map[string]any {
	w := wireTask(*e.Task)
	for i := range w.Attachments {
		w.Attachments[i].Type = ptr("eni") // the word in events
	}
	w.Tags = nil
	detail := camel(reflect.ValueOf(w)).(map[string]any)
	detail["updatedAt"] = e.At.UTC().Format(detailTime)
	delete(detail, "healthStatus") // by the guide, events do not tell of health
	for _, c := range detail["containers"].([]any) {
		delete(c.(map[string]any), "healthStatus")
	}
	// Not AWS's: what of the definition does not act here is told with the task.
	if fields := e.Task.Unserved; len(fields) > 0 {
		warnings := make([]any, len(fields))
		for i, f := range fields {
			warnings[i] = f + " is kept but does not act"
		}
		detail["dhowWarnings"] = warnings
	}
	return detail
}

func instanceDetail(db *store.DB, e cluster.Event) (map[string]any, error) {
	var w types.ContainerInstance
	err := db.View(func(r store.Reader) error {
		w = wireInstance(r, *e.Instance)
		return nil
	})
	if err != nil {
		return nil, err
	}
	w.Tags, w.HealthStatus = nil, nil
	w.AgentConnected = e.Instance.Connected
	detail := camel(reflect.ValueOf(w)).(map[string]any)
	for _, list := range []string{"registeredResources", "remainingResources"} {
		for _, r := range detail[list].([]any) {
			dropOtherValues(r.(map[string]any))
		}
	}
	detail["clusterArn"] = cluster.ClusterARN(e.Scope, e.Instance.Cluster)
	detail["updatedAt"] = e.At.UTC().Format(detailTime)
	return detail, nil
}

// dropOtherValues leaves a resource the value that its type says it has.
func dropOtherValues(r map[string]any) {
	delete(r, "doubleValue")
	delete(r, "longValue")
	if r["type"] == "STRINGSET" {
		delete(r, "integerValue")
	}
}

// camel turns a value of the SDK's types into JSON's, with the API's names.
// What is absent stays away; of what is no pointer, empty strings and lists of
// nil count as absent.
func camel(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return camel(v.Elem())
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			return t.UTC().Format(detailTime)
		}
		out := map[string]any{}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || f.Anonymous {
				continue
			}
			if x := camel(v.Field(i)); x != nil {
				out[strings.ToLower(f.Name[:1])+f.Name[1:]] = x
			}
		}
		return out
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		out := make([]any, 0, v.Len())
		for i := range v.Len() {
			out = append(out, camel(v.Index(i)))
		}
		return out
	case reflect.String:
		if v.Len() == 0 {
			return nil
		}
		return v.String()
	}
	return v.Interface()
}
