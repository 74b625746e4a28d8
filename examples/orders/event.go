package main

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"

	"github.com/dhowhq/dhow/contract/wire"
	"github.com/dhowhq/dhow/sdk/avro"
)

// contract is the schema of order events in the registry.
const contract = "shop/order"

// schemas are what the releases of the shop were built with, a folder for each:
// 1.1 has a currency more than 1.0. A repository would have one file, and its
// history the older ones; here one program stands for the builds of all releases,
// and the environment variable RELEASE says which it is to be.
//
// The folder 2.0 is not built in: it would break those that run, and is there to
// be refused.
//
//go:embed schemas/1.0 schemas/1.1
var schemas embed.FS

// release is which build of the program this is, and the option that has it
// write and read with the schema that it was built with.
func release() (name string, built avro.Option, err error) {
	if name = os.Getenv("RELEASE"); name == "" {
		name = "1.0"
	}
	text, err := schemas.ReadFile("schemas/" + name + "/" + contract + ".avsc")
	if err != nil {
		return "", nil, fmt.Errorf("RELEASE is %q, which is no release: %w", name, err)
	}
	return name, avro.WithSchema(string(text)), nil
}

// registry has the versions that other releases write.
func registry(cfg aws.Config) *avro.Registry {
	return avro.NewRegistry(glue.NewFromConfig(cfg), avro.RegistryOptions{OnError: func(err error) { log.Print("registry: ", err) }})
}

// order is what the shop's customers send, and what events carry.
type order struct {
	ID       string  `json:"id" avro:"id"`
	SKU      string  `json:"sku" avro:"sku"`
	Total    float64 `json:"total" avro:"total"`
	Currency string  `json:"currency" avro:"currency"` // releases before 1.1 neither write nor read it
}

// detail is the detail of an order's event: the order in Avro, and beside it what
// rules look at, for they cannot look into bytes. The members that name the schema
// are those of CloudEvents; any consumer of dhow's SDK knows them.
type detail struct {
	ID          string  `json:"id"`
	Total       float64 `json:"total"`
	Schema      string  `json:"dataschema"`
	Version     string  `json:"dataschemaversion"`
	ContentType string  `json:"datacontenttype"`
	Data        []byte  `json:"data_base64"`
}

// writer makes details of orders.
type writer struct{ *avro.Producer[order] }

func newWriter(ctx context.Context, cfg aws.Config) (w writer, name string, err error) {
	name, built, err := release()
	if err != nil {
		return w, "", err
	}
	r := registry(cfg)
	defer r.Close() // the version that is written is found once
	w.Producer, err = avro.NewProducer[order](ctx, r, contract, built, avro.WithForm(wire.Named))
	return w, name, err
}

func (w writer) detail(o *order) (string, error) {
	data, err := w.Encode(o)
	if err != nil {
		return "", err
	}
	v := w.Version()
	text, err := json.Marshal(detail{ID: o.ID, Total: o.Total, Schema: v.Name, Version: v.Version, ContentType: wire.AvroBinary, Data: data})
	return string(text), err
}
