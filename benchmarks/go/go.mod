module flask-cache-proxy/benchmarks

go 1.24

require (
	github.com/kisielk/og-rek v1.3.0
	github.com/redis/go-redis/v9 v9.22.0
)

require (
	github.com/aristanetworks/gomap v0.0.0-20230726210543-f4e41046dced // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	go.uber.org/atomic v1.11.0 // indirect
	golang.org/x/exp v0.0.0-20230725093048-515e97ebf090 // indirect
	golang.org/x/sys v0.30.0 // indirect
)
