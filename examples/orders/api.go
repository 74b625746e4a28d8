package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// serve takes orders over HTTP until ctx ends. An order is accepted once the
// bus has it, and not before.
func serve(ctx context.Context, cfg aws.Config) error {
	bus, err := env("BUS")
	if err != nil {
		return err
	}
	orders, name, err := newWriter(ctx, cfg)
	if err != nil {
		return err
	}
	a := &api{bus: bus, orders: orders, events: eventbridge.NewFromConfig(cfg)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("POST /orders", a.take)
	s := &http.Server{Addr: ":" + cmp.Or(os.Getenv("PORT"), "8080"), Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done() // requests under way are answered
		end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Shutdown(end)
	}()
	log.Printf("release %s takes orders on %s and writes %s", name, s.Addr, orders.Version())
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type api struct {
	bus    string
	orders writer
	events *eventbridge.Client
}

func (a *api) take(w http.ResponseWriter, r *http.Request) {
	o := order{Currency: "EUR"}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&o); err != nil || o.ID == "" || o.SKU == "" || o.Total <= 0 {
		http.Error(w, `an order is {"id": "…", "sku": "…", "total": more than 0}`, http.StatusBadRequest)
		return
	}
	if err := a.put(r.Context(), o); err != nil {
		log.Printf("order %s: not taken: %v", o.ID, err)
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	log.Printf("order %s: taken", o.ID)
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, "order %s accepted\n", o.ID)
}

// put puts the order on the bus.
func (a *api) put(ctx context.Context, o order) error {
	detail, err := a.orders.detail(&o)
	if err != nil {
		return err
	}
	out, err := a.events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: &a.bus, Source: aws.String("shop.api"), DetailType: aws.String("Order Placed"), Detail: &detail,
	}}})
	if err != nil {
		return err
	}
	if e := out.Entries[0]; out.FailedEntryCount > 0 {
		return fmt.Errorf("%s: %s", aws.ToString(e.ErrorCode), aws.ToString(e.ErrorMessage))
	}
	return nil
}
