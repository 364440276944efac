package flaskcache

import (
	"context"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// forEach calls a function with each server of a cluster or a ring, in several goroutines.
type forEach = func(context.Context, func(context.Context, *redis.Client) error) error

// deleteOnEach deletes on each server, as SCAN sees one alone.
func deleteOnEach(ctx context.Context, each forEach, glob string) (int, error) {
	var deleted atomic.Int64
	err := each(ctx, func(ctx context.Context, server *redis.Client) error {
		count, err := deleteOn(ctx, server, glob)
		deleted.Add(int64(count))
		return err
	})
	return int(deleted.Load()), err
}
