module flask-cache-proxy/interop

go 1.24

require (
	github.com/redis/go-redis/v9 v9.22.0
	github.com/redis/rueidis v1.0.68
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	go.uber.org/atomic v1.11.0 // indirect
	golang.org/x/sys v0.31.0 // indirect
)
