// Package avro writes and reads messages in Apache Avro that name the version of
// the schema they were written with, so that services that ship separately
// understand each other.
//
// A service says which version it is built for. A [Producer] writes that version
// and puts its name into each message; a [Consumer] reads messages of any version
// that its own can read, fields that are missing filled with their defaults, and
// refuses the others with an error that says what does not fit, and where:
//
//	type Order struct {
//		ID    string  `avro:"id"`
//		Total int64   `avro:"total"`
//		Note  *string `avro:"note"`
//	}
//
//	//go:embed schemas
//	var schemas embed.FS
//
//	lock, err := avro.Open(schemas, "schemas")
//	producer, err := avro.NewProducer[Order](ctx, lock, "shop/order@1.1.0")
//	consumer, err := avro.NewConsumer[Order](ctx, lock, "shop/order@^1")
//
// # Where schemas come from
//
// A [Source] is one of three. [Open] reads a folder that is part of the program:
// the schemas and the lock file that `dhow schema lock` keeps beside them; such a
// program needs no registry to run. [NewRegistry] asks a Glue Schema Registry,
// dhow's or AWS's, by a *glue.Client:
//
//	cfg, err := config.LoadDefaultConfig(ctx)
//	registry := avro.NewRegistry(glue.NewFromConfig(cfg), avro.RegistryOptions{})
//
// [Chain] is both: what is embedded costs no call, and a version that was released
// after this program was built is still found.
//
//	source := avro.Chain(lock, registry)
//
// A registry that is down, slow or wrong does no harm to what is known already: a
// version never changes, so it is fetched once and kept. What is not known gives an
// error in bounded time, which wraps [ErrUnknown] only where the registry answered
// that it has no such version. Whoever consumes a queue can tell the two apart: an
// unknown version is for the dead letters, an outage is for a later try.
//
// # Through the services of AWS
//
// Producers make inputs for the SDK's clients, consumers read what those return:
//
//	in, err := producer.SQS(queueURL, &order)
//	_, err = client.SendMessage(ctx, in)
//
//	for _, m := range out.Messages {
//		order, err := consumer.SQS(ctx, m)
//
// The same goes for SNS, Kinesis and EventBridge. A consumer of a queue finds the
// message wherever it came from: sent to the queue, published to a topic, or put
// on a bus. Other transports take bytes: [Producer.Encode], [Consumer.Decode].
//
// # What travels
//
// By default a header goes before the payload, the one that the serializers of AWS
// Glue write and read: other people's Kafka and Kinesis clients understand it. See
// [WithForm] for Confluent's, for Avro's single-object encoding, and for message
// attributes, and package wire for what they look like. A consumer recognises all
// of them without being told.
//
// Encoding and decoding is done by github.com/twmb/avro, whose struct tags and
// types apply; naming the schema adds no allocation to it.
package avro
