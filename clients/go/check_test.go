package flaskcache

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"
)

// answering is a client whose server has one answer, an error or none.
type answering struct {
	err  error
	sent []redis.Cmder
}

func (server *answering) DialHook(next redis.DialHook) redis.DialHook { return next }

func (server *answering) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, command redis.Cmder) error {
		server.sent = append(server.sent, command)
		command.SetErr(server.err)
		return server.err
	}
}

func (server *answering) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func checked(t *testing.T, answer string, options ...Option) error {
	t.Helper()
	server := &answering{}
	if answer != "" {
		server.err = errors.New(answer)
	}
	client := redis.NewClient(&redis.Options{})
	client.AddHook(server)
	cache := New(client, Caching25, "shop_", options...)
	viewError, memoError := cache.View("/").Check(t.Context()), cache.Memo("shop.total", 1).Check(t.Context())
	if (viewError == nil) != (memoError == nil) {
		t.Errorf("%v and %v", viewError, memoError)
	}
	for at, key := range []string{"shop_view//", "shop_shop.total_memver"} {
		args := server.sent[at].Args()
		if len(args) != 4 || args[0] != "setrange" || args[1] != key || args[3] != "" {
			t.Errorf("it sent %v, which may change the key", args)
		}
	}
	return viewError
}

func TestCheckTellsTheProxyFromRedisAndFromAnotherPrefix(t *testing.T) {
	isUsage(t, checked(t, ""), checked(t, proxySays+"SETRANGE is refused: this listener only reads"))
	for _, err := range []error{
		checked(t, proxySays+"SETRANGE is refused on keys that hold cached values: ..."),
		checked(t, proxySays+"SETRANGE is refused: this listener only reads", Plain()),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := checked(t, "NOPERM no"); err == nil || err.Error() != "NOPERM no" {
		t.Error(err)
	}
}
