// A client for clusters, pointed at one server: its arguments are the client, the address, a key and a payload.
// Prints what it reads of what it wrote, or why it does not.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	clients := map[string]func(ctx context.Context, address, key, payload string) (string, error){
		"go-redis": goRedis, "rueidis": withRueidis,
	}
	got, err := clients[os.Args[1]](ctx, os.Args[2], os.Args[3], os.Args[4])
	if err != nil {
		got = "error: " + err.Error()
	}
	fmt.Println(got)
}

func goRedis(ctx context.Context, address, key, payload string) (string, error) {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{address}})
	defer client.Close()
	if err := client.Set(ctx, key, payload, time.Minute).Err(); err != nil {
		return "", err
	}
	return client.Get(ctx, key).Result()
}

func withRueidis(ctx context.Context, address, key, payload string) (string, error) {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{address}, ShuffleInit: true, DisableCache: true})
	if err != nil {
		return "", err
	}
	defer client.Close()
	if err := client.Do(ctx, client.B().Set().Key(key).Value(payload).Build()).Error(); err != nil {
		return "", err
	}
	return client.Do(ctx, client.B().Get().Key(key).Build()).ToString()
}
