package main

import (
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"time"
)

// order is a message as services send them: some of it is the same every time,
// some of it is not, and how well it compresses is between the two.
type order struct {
	ID       string    `json:"orderId"`
	PlacedAt time.Time `json:"placedAt"`
	Customer customer  `json:"customer"`
	Items    []item    `json:"items"`
	Note     string    `json:"note"`
}

type customer struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Tier  string `json:"tier"`
}

type item struct {
	SKU      string  `json:"sku"`
	Title    string  `json:"title"`
	Quantity int     `json:"quantity"`
	Price    float64 `json:"price"`
	Currency string  `json:"currency"`
}

// variety is how many different messages a connection sends in turn.
const variety = 64

// orders are so many texts of that size in bytes, the same ones in each run.
func orders(n, size int) []string {
	r := rand.New(rand.NewPCG(1, 2))
	list := make([]string, n)
	for i := range list {
		for text := ""; len(list[i]) < size; list[i] += text {
			text = newOrder(r)
		}
		list[i] = list[i][:size]
	}
	return list
}

func newOrder(r *rand.Rand) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	id := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return hex.EncodeToString(b)
	}
	o := order{ID: id(16), PlacedAt: time.Unix(1_770_000_000+r.Int64N(1e7), r.Int64N(1e9)).UTC(),
		Customer: customer{"c-" + id(5), id(4) + "@example.com", pick("gold", "silver", "none")}, Note: pick("", "leave it at the door", "call before noon")}
	for range 4 + r.IntN(5) {
		o.Items = append(o.Items, item{id(4), pick("walnut desk", "steel lamp", "wool blanket", "oak shelf", "glass jar", "linen curtain"),
			1 + r.IntN(9), float64(r.IntN(30_000)) / 100, "EUR"})
	}
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // not to be: strings and numbers
	}
	return string(b)
}

// quoted is a text as JSON.
func quoted(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return b
}
