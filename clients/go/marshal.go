package flaskcache

// Marshal returns a value as the payload that Set would write: for pipelines, hashes and other commands of go-redis.
func (cache *Cache) Marshal(value any) ([]byte, error) {
	if err := cache.defect(); err != nil {
		return nil, err
	}
	return encode(cache.format, value)
}

// Unmarshal reads a payload that another command of go-redis returned. It returns a [*TypeError] if the value is no T.
func Unmarshal[T any](cache *Cache, payload []byte) (T, error) {
	var value, none T
	if err := cache.defect(); err != nil {
		return none, err
	}
	if err := decode(cache.format, payload, &value); err != nil {
		return none, err
	}
	return value, nil
}
