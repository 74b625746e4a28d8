package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// dial reaches an external etcd.
func dial(ctx context.Context, c Config) (*clientv3.Client, error) {
	failed := make(chan error, 1) // the client logs nothing fatal
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            c.Endpoints,
		TLS:                  c.TLS,
		Username:             c.Username,
		Password:             c.Password,
		DialTimeout:          5 * time.Second,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		MaxCallSendMsgSize:   2 << 20,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
			MinConnectTimeout: 3 * time.Second,
		})},
		Logger: etcdLog(c.Log, failed),
	})
	if err != nil {
		return nil, fmt.Errorf("store: etcd at %v: %w", c.Endpoints, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := client.Get(ctx, c.Prefix+".clock"); err != nil {
		client.Close()
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("store: etcd at %v does not answer: %w", c.Endpoints, err)
		}
		return nil, fmt.Errorf("store: etcd at %v: %w", c.Endpoints, err)
	}
	return client, nil
}
