package stream

import "time"

// bucket is a token bucket: it holds a second's worth, or what burst says, and
// may go into debt, as a shard does that has been read in one large piece.
type bucket struct {
	rate, burst float64 // tokens a second, and at most
	have        float64
	at          time.Time
}

func newBucket(rate, burst float64) bucket { return bucket{rate: rate, burst: burst, have: burst} }

// fill brings the bucket up to now. A clock that went back fills nothing.
func (b *bucket) fill(now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		if !b.at.IsZero() {
			b.have = min(b.burst, b.have+d.Seconds()*b.rate)
		}
		b.at = now
	}
}

// has reports whether n tokens are there; what is more than the bucket can hold
// goes once it is full.
func (b *bucket) has(now time.Time, n float64) bool {
	b.fill(now)
	return b.have >= min(n, b.burst)
}

// take takes n tokens, on credit if need be.
func (b *bucket) take(n float64) { b.have -= n }

// wait is how long it takes until the bucket is out of debt.
func (b *bucket) wait(now time.Time) time.Duration {
	b.fill(now)
	if b.have >= 0 {
		return 0
	}
	return time.Duration(-b.have / b.rate * float64(time.Second))
}

// What a shard takes and gives, from the quotas of Kinesis Data Streams.
const (
	mib             = 1 << 20
	shardInBytes    = 1 * mib // a second, partition keys included
	shardInRecords  = 1000    // a second
	shardOutBytes   = 2 * mib // a second, for GetRecords; and again for each consumer
	shardOutReads   = 5       // GetRecords calls a second
	maxReadRecords  = 10000   // a GetRecords call
	maxReadBytes    = 10 * mib
	maxEventBytes   = 1 * mib
	maxEventRecords = 10000
)

// limits are the buckets of a shard.
type limits struct {
	inBytes, inRecords, outBytes, outReads bucket
}

func newLimits() limits {
	return limits{
		inBytes: newBucket(shardInBytes, shardInBytes), inRecords: newBucket(shardInRecords, shardInRecords),
		outBytes: newBucket(shardOutBytes, shardOutBytes), outReads: newBucket(shardOutReads, shardOutReads),
	}
}

// admit takes what a record of that size costs, if it is there.
func (l *limits) admit(now time.Time, size int) bool {
	if !l.inBytes.has(now, float64(size)) || !l.inRecords.has(now, 1) {
		return false
	}
	l.inBytes.take(float64(size))
	l.inRecords.take(1)
	return true
}

// read takes a GetRecords call, if one is left and the bytes of earlier ones are
// paid for; gave then takes the bytes.
func (l *limits) read(now time.Time) bool {
	l.outBytes.fill(now)
	if l.outBytes.have <= 0 || !l.outReads.has(now, 1) {
		return false
	}
	l.outReads.take(1)
	return true
}

func (l *limits) gave(size int) { l.outBytes.take(float64(size)) }
