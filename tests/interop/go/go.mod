module flask-cache-proxy/interop

go 1.24.0

require (
	github.com/flask-cache-proxy/flask-cache-proxy/clients/go v0.0.0
	github.com/go-redis/cache/v9 v9.0.0
	github.com/go-redsync/redsync/v4 v4.14.0
	github.com/redis/go-redis/v9 v9.22.0
	github.com/redis/rueidis v1.0.68
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/hashicorp/errwrap v1.1.0 // indirect
	github.com/hashicorp/go-multierror v1.1.1 // indirect
	github.com/klauspost/compress v1.13.6 // indirect
	github.com/vmihailenco/go-tinylfu v0.2.2 // indirect
	github.com/vmihailenco/msgpack/v5 v5.4.1 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
	go.uber.org/atomic v1.11.0 // indirect
	golang.org/x/sync v0.17.0 // indirect
	golang.org/x/sys v0.31.0 // indirect
)

replace github.com/flask-cache-proxy/flask-cache-proxy/clients/go => ../../../clients/go
