package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/dhowhq/dhow/sdk/avro"
)

const orderSchemas = "../examples/orders/schemas/"

// TestOrdersContracts deploys examples/orders, with a consumer in Go and one in
// Python, and takes it from release 1.0 to 1.1 while customers place orders: both
// versions are in flight, each consumer of each release reads both, and every
// order is read. Then 2.0, which breaks the consumers, is stopped wherever it
// comes.
func TestOrdersContracts(t *testing.T) {
	s := newTrade(t)
	s.dhow("schema", "push", orderSchemas+"1.0", "--compatibility", "FULL")
	s.messaging()
	for _, part := range []string{"worker", "ledger", "api"} {
		s.create(part, "1.0")
	}
	s.settled("worker", "ledger", "api")
	f := s.customers()
	s.haveRead("1.0", "1.0.0", 20)

	s.dhow("schema", "check", orderSchemas+"1.1")
	s.dhow("schema", "push", orderSchemas+"1.1")
	s.must(s.update("api", "1.1"))
	s.haveRead("1.0", "1.1.0", 20)
	s.settled("api")
	s.mixed()

	s.must(errors.Join(s.update("worker", "1.1"), s.update("ledger", "1.1")))
	s.settled("worker", "ledger")
	s.haveRead("1.1", "1.1.0", 20)
	f.stop()
	late := s.late(5)
	s.haveRead("1.1", "1.0.0", len(late))
	s.complete(append(f.ids, late...))

	t.Run("breaking", func(t *testing.T) {
		s := *s
		s.T = t
		s.breaking()
	})
	s.must(s.place("last")) // and business goes on
	s.complete(append(f.ids, append(late, "last")...))
}

// mixed holds both versions to have been in flight at a time: orders were placed
// after the first one of 1.1.0 that were written as 1.0.0.
func (s *trade) mixed() {
	s.Helper()
	read := s.read()
	for _, part := range []string{"worker", "ledger"} {
		old, next := read[part].written["1.0.0"], read[part].written["1.1.0"]
		first, after := slices.Min(next), 0
		for _, id := range old {
			if id > first {
				after++
			}
		}
		if after == 0 {
			s.Errorf("%s has read no order of 1.0.0 that was placed after the first of 1.1.0, %s", part, first)
		}
		s.Logf("%s has read %d orders of 1.0.0 and %d of 1.1.0, %d of 1.0.0 placed after the first of 1.1.0", part, len(old), len(next), after)
	}
}

// late puts orders on the bus as an API of 1.0 does that was forgotten.
func (s *trade) late(count int) (ids []string) {
	s.Helper()
	old, err := avro.NewVersion("shop/order", "1.0.0", orderSchema(s, "1.0"))
	s.must(err)
	for n := range count {
		ids = append(ids, fmt.Sprint("late", n))
		s.must(s.put(old, map[string]any{"id": ids[n], "sku": "tea", "total": 3.5}))
	}
	return ids
}

// detail is what the API has as detail of its events.
func (s *trade) detail(v *avro.Version, order map[string]any) string {
	s.Helper()
	data, err := v.Schema().Encode(order)
	s.must(err)
	text, err := json.Marshal(map[string]any{"id": order["id"], "total": 1, "dataschema": v.Name, "dataschemaversion": v.Version, "datacontenttype": "avro/binary", "data_base64": data})
	s.must(err)
	return string(text)
}

// put puts an order on the bus, and returns what the bus has against it.
func (s *trade) put(v *avro.Version, order map[string]any) error {
	s.Helper()
	out, err := s.events.PutEvents(s.Context(), &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{{EventBusName: aws.String("shop"),
		Source: aws.String("shop.api"), DetailType: aws.String("Order Placed"), Detail: aws.String(s.detail(v, order))}}})
	s.must(err)
	if e := out.Entries[0]; e.ErrorCode != nil {
		return &smithy.GenericAPIError{Code: *e.ErrorCode, Message: aws.ToString(e.ErrorMessage)}
	}
	return nil
}

// complete waits until both consumers have read all the orders, and holds
// nothing else to be left anywhere.
func (s *trade) complete(ids []string) {
	s.Helper()
	eventually(s.T, 90*time.Second, func() error {
		read := s.read()
		for _, part := range []string{"worker", "ledger"} {
			for _, id := range ids {
				if read[part].times[id] == 0 {
					return fmt.Errorf("%s has not read order %s", part, id)
				}
			}
		}
		return nil
	})
	for who, r := range s.read() {
		again := 0
		for _, times := range r.times {
			again += times - 1
		}
		s.Logf("%s has read %d orders, %d times one again: %d of 1.0.0, %d of 1.1.0", who, len(r.times), again, len(r.written["1.0.0"]), len(r.written["1.1.0"]))
	}
	for _, queue := range []string{"worker", "worker-dead", "ledger", "ledger-dead"} {
		eventually(s.T, 40*time.Second, func() error { // what is read is deleted after it is logged
			out, err := s.sqs.GetQueueAttributes(s.Context(), &sqs.GetQueueAttributesInput{QueueUrl: s.url(queue), AttributeNames: []sqstypes.QueueAttributeName{"All"}})
			if err == nil && (out.Attributes["ApproximateNumberOfMessages"] != "0" || out.Attributes["ApproximateNumberOfMessagesNotVisible"] != "0") {
				err = fmt.Errorf("the queue %s has messages: %v", queue, out.Attributes)
			}
			return err
		})
	}
}

// breaking tries to bring 2.0 in: in CI, at the registry, at the broker, and,
// when somebody has forced the registry, at the broker still and at deployment.
func (s *trade) breaking() {
	for _, verb := range []string{"check", "push"} {
		out, err := s.command("schema", verb, orderSchemas+"2.0").CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 {
			s.Errorf("schema %s ends with %v\n%s", verb, err, out)
		}
		for _, want := range []string{"shop/order", "refused", "field `total` (shop/order@1.1.0:9)", "was removed and has no default: readers on 1.1.0 cannot read it", "field `cents` (shop/order.avsc:9)"} {
			if !strings.Contains(string(out), want) {
				s.Errorf("schema %s does not say %q but\n%s", verb, want, out)
			}
		}
	}

	id := &gluetypes.SchemaId{RegistryName: aws.String("shop"), SchemaName: aws.String("order")}
	definition := orderSchema(s, "2.0")
	register := func() gluetypes.SchemaVersionStatus {
		out, err := s.glue.RegisterSchemaVersion(s.Context(), &glue.RegisterSchemaVersionInput{SchemaId: id, SchemaDefinition: &definition})
		s.must(err)
		return out.Status
	}
	if got := register(); got != gluetypes.SchemaVersionStatusFailure {
		s.Errorf("the registry says %s to 2.0", got)
	}
	v, err := avro.NewVersion("shop/order", "2.0.0", definition)
	s.must(err)
	s.brokers(v)

	_, err = s.glue.UpdateSchema(s.Context(), &glue.UpdateSchemaInput{SchemaId: id, Compatibility: gluetypes.CompatibilityNone, SchemaVersionNumber: &gluetypes.SchemaVersionNumber{LatestVersion: true}})
	s.must(err)
	if got := register(); got != gluetypes.SchemaVersionStatusAvailable {
		s.Errorf("the registry, forced, says %s to 2.0", got)
	}
	s.brokers(v)
	before := s.running()
	var refused *types.ClientException
	for part, words := range map[string][]string{
		"api":    {"service orders-api", "would write shop/order 2.0.0, which service orders-worker", "service orders-ledger", "field `total`"},
		"ledger": {"service orders-ledger", "service orders-api", "shop/order 1.1.0", "field `cents`"},
	} {
		err := s.update(part, "2.0")
		if !errors.As(err, &refused) {
			s.Errorf("%s of 2.0 is deployed: %v", part, err)
			continue
		}
		for _, w := range words {
			if !strings.Contains(refused.ErrorMessage(), w) {
				s.Errorf("%s: the refusal does not say %q but %s", part, w, refused.ErrorMessage())
			}
		}
	}
	if now := s.running(); !slices.Equal(before, now) {
		s.Errorf("%v ran before, %v now", before, now)
	}
}

// brokers holds the queues and the bus to refuse an order of 2.0.
func (s *trade) brokers(v *avro.Version) {
	s.Helper()
	order := map[string]any{"id": "broken", "sku": "tea", "cents": int64(1250), "currency": "EUR"}
	for _, queue := range []string{"worker", "ledger"} {
		_, err := s.sqs.SendMessage(s.Context(), &sqs.SendMessageInput{QueueUrl: s.url(queue), MessageBody: aws.String(s.detail(v, order))})
		var refused *sqstypes.InvalidMessageContents
		if !errors.As(err, &refused) || !strings.Contains(refused.ErrorMessage(), "2.0.0") {
			s.Errorf("the queue %s says to 2.0: %v", queue, err)
		}
	}
	var refused smithy.APIError
	if err := s.put(v, order); !errors.As(err, &refused) || refused.ErrorCode() != "InvalidArgument" || !strings.Contains(refused.ErrorMessage(), "2.0.0") {
		s.Errorf("the bus says to 2.0: %v", err)
	}
}

// running are the revisions of the services.
func (s *trade) running() (revisions []string) {
	s.Helper()
	out, err := s.ecs.DescribeServices(s.Context(), &ecs.DescribeServicesInput{Services: []string{"orders-api", "orders-worker", "orders-ledger"}})
	s.must(err)
	for _, v := range out.Services {
		for _, d := range v.Deployments {
			revisions = append(revisions, *d.TaskDefinition)
		}
	}
	return revisions
}
