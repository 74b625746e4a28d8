// Command probe runs in a task and says what it is like there: `probe whoami`
// asks by the SDK's default chain, with nothing given to it, who the caller is;
// `probe get URL` makes a request.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == "whoami":
		err = whoami(ctx)
	case len(os.Args) == 3 && os.Args[1] == "get":
		err = get(ctx, os.Args[2])
	default:
		err = fmt.Errorf("not known: %q", os.Args)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func whoami(ctx context.Context) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)
	if err != nil {
		return err
	}
	clusters, err := ecs.NewFromConfig(cfg).ListClusters(ctx, nil)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"Account": who.Account, "Arn": who.Arn, "UserId": who.UserId, "Region": cfg.Region, "Clusters": clusters.ClusterArns,
	})
}

func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	fmt.Printf("%s %s\n", res.Status, body)
	return err
}
