package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// saleSchema has twelve fields.
const saleSchema = `{"type":"record","name":"Sale","fields":[
 {"name":"id","type":"string"},{"name":"customer","type":"string"},{"name":"note","type":["null","string"]},
 {"name":"total","type":"double"},{"name":"count","type":"int"},{"name":"at","type":"long"},
 {"name":"paid","type":"boolean"},{"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","SENT"]}},
 {"name":"tags","type":{"type":"array","items":"string"}},{"name":"address","type":"string"},
 {"name":"city","type":"string"},{"name":"more","type":{"type":"map","values":"string"}}]}`

// newSale is a message of saleSchema in binary, of 300 bytes.
func newSale(r *rand.Rand) []byte {
	str := func(out []byte, s string) []byte { return append(binary.AppendVarint(out, int64(len(s))), s...) }
	id := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return hex.EncodeToString(b)
	}
	p := str(str(nil, id(16)), id(4)+"@example.com")
	p = str(append(p, 2), "leave it at the door")
	p = binary.LittleEndian.AppendUint64(p, r.Uint64()>>12|0x3FF<<52)
	p = binary.AppendVarint(p, r.Int64N(1000))
	p = binary.AppendVarint(p, 1_770_000_000_000+r.Int64N(1e10))
	p = append(p, 1, 2)
	p = append(str(str(append(p, 4), "gift"), "express"), 0)
	p = str(str(p, fmt.Sprintf("%d Harbour Street, third floor", r.IntN(100))), "Zanzibar")
	p = str(str(str(append(p, 4), "origin"), "mobile"), "campaign")
	rest := 300 - len(p) - 3 // the length's two bytes, and the end of the map
	return append(str(p, (id(100) + id(100))[:rest]), 0)
}

// measureContracts sends messages with a schema to two queues of one platform,
// one of which checks them.
func measureContracts(ctx context.Context, b *bench) error {
	// Short turns: what else the machine does falls on both of a pair.
	const bar, most, turns, span = 0.9, 2.0, 48, 300 * time.Millisecond
	p, err := b.platform(ctx)
	if err != nil {
		return err
	}
	version, err := makeSchema(ctx, p.url)
	if err != nil {
		return err
	}
	var sides []*side
	for _, name := range []string{"contracts", "contracts-plain"} {
		q, err := makeQueue(ctx, p.url, name)
		if err != nil {
			return err
		}
		defer q.delete(ctx)
		if name == "contracts" {
			if _, err := sqsClient(p.url).TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: &q.url, Tags: map[string]string{"dhow:schema": "bench/sale@1"}}); err != nil {
				return err
			}
		}
		sides = append(sides, salesSide(ctx, q, p.pid(), version))
	}
	checked, plain := sides[0], sides[1]
	if err := race(ctx, turns, span, checked, plain); err != nil {
		return err
	}
	ratio := checked.per(plain)
	b.table.add("SendMessageBatch of 10, Avro of 300 bytes, the queue has a schema", checked.count("messages"), "a queue without "+plain.count("messages"),
		ratio.String(), fmt.Sprintf("≥ %.1f ×", bar), verdict(median(ratio) >= bar))
	cost := float64(checked.cpu.Microseconds())/checked.units - float64(plain.cpu.Microseconds())/plain.units
	b.table.add("what the check costs", fmt.Sprintf("%.2f µs processor a message", cost), "", "", fmt.Sprintf("≤ %.0f µs", most), verdict(cost <= most))
	return measureSchemas(ctx, b)
}

// makeSchema registers saleSchema and returns the version's UUID.
func makeSchema(ctx context.Context, url string) ([]byte, error) {
	c := glue.NewFromConfig(awsConfig(url))
	if _, err := c.CreateRegistry(ctx, &glue.CreateRegistryInput{RegistryName: aws.String("bench")}); err != nil {
		return nil, err
	}
	out, err := c.CreateSchema(ctx, &glue.CreateSchemaInput{RegistryId: &types.RegistryId{RegistryName: aws.String("bench")}, SchemaName: aws.String("sale"),
		DataFormat: types.DataFormatAvro, Compatibility: types.CompatibilityBackward, SchemaDefinition: aws.String(saleSchema)})
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(strings.ReplaceAll(*out.SchemaVersionId, "-", ""))
}

// salesSide sends batches of ten sales in the form of Glue's serializers.
func salesSide(ctx context.Context, q *queue, pid int, version []byte) *side {
	conns, r := dial(ctx, q.endpoint, connections), rand.New(rand.NewPCG(1, 2))
	requests := make([][]byte, variety)
	for i := range requests {
		texts := make([]string, 10)
		for j := range texts {
			texts[j] = base64.StdEncoding.EncodeToString(append(append([]byte{3, 0}, version...), newSale(r)...))
		}
		requests[i] = sqsAPI.request("SendMessageBatch", q.batchBody(texts...))
	}
	next := make([]int, connections)
	return &side{pid: pid, do: func(i int) (int, error) {
		next[i]++
		answer, err := conns[i].do(requests[(next[i]+i)%variety])
		if err == nil && strings.Contains(string(answer), `"Code"`) {
			err = fmt.Errorf("SendMessageBatch: %s", answer)
		}
		return 10, err
	}}
}
