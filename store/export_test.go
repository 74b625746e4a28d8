package store

// Limits changes what tests cannot wait for: the free bytes that the disk must
// have, and the size at which etcd refuses to write.
func (c Config) Limits(reserve, hard int64) Config {
	c.reserve, c.hard = reserve, hard
	return c
}
