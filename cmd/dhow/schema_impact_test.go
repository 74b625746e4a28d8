package main

import (
	"strings"
	"testing"

	"github.com/dhowhq/dhow/contract/impact"
)

func TestPrintImpact(t *testing.T) {
	no := false
	var out strings.Builder
	err := printImpact(&out, impact.Impact{Schema: "shop/order", Latest: "2.0.0", Users: []impact.Row{
		{Service: "checkout", Cluster: "prod", TaskDefinition: "checkout:1", Deployment: "STABLE", Use: "produces", Declared: "1.0.0", Version: "1.0.0", Now: "1.0.0"},
		{Cluster: "prod", TaskDefinition: "batch:3", Tasks: 2, Use: "consumes", Declared: "^1", ReadsLatest: &no, Why: []string{"field `total` was removed"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := `shop/order, latest 2.0.0
SERVICE   CLUSTER  REVISION    DEPLOYMENT       USE       DECLARED  VERSION  NOW    READS LATEST
checkout  prod     checkout:1  STABLE           produces  1.0.0     1.0.0    1.0.0  -
-         prod     batch:3     2 of no service  consumes  ^1        -        -      no
task (batch:3): field ` + "`total`" + ` was removed
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
