package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
)

func main() {
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: cmp.Or(os.Getenv("PROXY"), "127.0.0.1:6380")})
	defer client.Close()

	if err := client.Set(ctx, "flask_cache_view//index", `"Hello from Go"`, time.Minute).Err(); err != nil {
		log.Fatal(err)
	}
	value, err := client.Get(ctx, "flask_cache_view//index").Result() // err is redis.Nil on a miss
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(value)
}
