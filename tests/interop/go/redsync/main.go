// The life of a lock of redsync, through the proxy whose address is its first argument. Its scripts are in the guard's
// allow_scripts. Exits with 1 where anything is not as it should be.
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"flask-cache-proxy/interop/internal/report"

	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
)

func main() {
	client := redis.NewClient(&redis.Options{Addr: os.Args[1]})
	defer client.Close()
	locks := redsync.New(goredis.NewPool(client))
	key := "flask_cache_lock:redsync"

	plain := locks.NewMutex(key, redsync.WithExpiry(time.Minute))
	report.Check(plain.Lock())
	report.Expect(errors.As(locks.NewMutex(key, redsync.WithTries(1)).Lock(), new(*redsync.ErrTaken)), "a lock that is taken")
	extended, err := plain.Extend()
	report.Check(err)
	report.Expect(extended, "the lock extended")
	released, err := plain.Unlock()
	report.Check(err)
	report.Expect(released, "the lock released")

	anew := locks.NewMutex(key, redsync.WithExpiry(time.Minute), redsync.WithSetNXOnExtend())
	report.Check(anew.Lock())
	report.Check(client.Del(context.Background(), key).Err())
	extended, err = anew.Extend()
	report.Check(err)
	report.Expect(extended, "the lost lock taken again")
	_, err = anew.Unlock()
	report.Check(err)
}
