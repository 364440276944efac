package main

import (
	"context"
	"fmt"

	"flask-cache-proxy/interop/internal/report"

	"github.com/redis/rueidis"
)

const several = 8

// stay is for the tests of shared connections: several clients work at once, and stay connected until the standard input
// ends. `caching`: every other client keeps what it reads until Redis says that it has changed (CLIENT TRACKING). Such a
// client has one connection. Another one has some more, as it needs them.
func stay(ctx context.Context, resp2, caching bool) {
	clients := make([]rueidis.Client, several)
	caches := func(number int) bool { return caching && number%2 == 0 }
	tracking := 0
	for number := range clients {
		option := rueidis.ClientOption{AlwaysRESP2: resp2, DisableCache: true, ClientName: fmt.Sprint("client-", number)}
		if caches(number) {
			option.DisableCache, option.PipelineMultiplex, option.OnInvalidations = false, -1, note
			tracking++
		}
		clients[number] = connect(option)
		defer clients[number].Close()
	}
	own := func(number int) string { return fmt.Sprintf("%s%d:", prefix, number) }
	report.Together(several, func(number int) {
		producers(ctx, clients[number], own(number))
		together(ctx, clients[number], own(number))
		errorsAreErrors(ctx, clients[number])
	})
	for number := range clients {
		if caches(number) {
			changedByAnother(ctx, clients[number], clients[number+1], own(number))
			severalCached(ctx, clients[number], own(number))
		}
	}
	done.Seen["tracking"] = tracking
	done.Print()
	report.Stay()
}
