"""Reads the messages on its input and writes as many of its own, with Apache Avro's Python."""
import base64, io, json, struct, sys, uuid
import avro.io, avro.schema

given = json.load(sys.stdin)
schema = avro.schema.parse(given["schemas"]["1.1.0"])
old = avro.schema.parse(given["schemas"]["1.0.0"])
value = {"id": "p-1 ö", "total": 1 << 40, "state": "PAID", "note": "for you"}
header = {
    "glue": b"\x03\x00" + uuid.UUID(given["ids"]["1.1.0"]).bytes,
    "confluent": struct.pack(">bI", 0, 11),
    "single": b"\xc3\x01" + struct.pack("<Q", int(given["fingerprint"], 16)),
    "named": b"",
    "bare": b"",
}
out = []
for m in given["messages"]:
    what, data = m["what"], base64.b64decode(m["body"])
    assert data.startswith(header[what]), (what, data.hex())
    source = io.BytesIO(data[len(header[what]):])
    out.append({"what": what, "value": avro.io.DatumReader(schema, schema).read(avro.io.BinaryDecoder(source))})
    assert source.read() == b"", what


def wrote(what, head, writer, datum, attributes=None):
    sink = io.BytesIO()
    avro.io.DatumWriter(writer).write(datum, avro.io.BinaryEncoder(sink))
    out.append({"what": what, "body": base64.b64encode(head + sink.getvalue()).decode(), "attributes": attributes})


for what, head in header.items():
    named = {"dataschema": "shop/purchase", "dataschemaversion": "1.1.0", "datacontenttype": "avro/binary"} if what == "named" else None
    wrote(what, head, schema, value, named)
without = {k: v for k, v in value.items() if k != "note"}
wrote("old 1.0.0", b"\x03\x00" + uuid.UUID(given["ids"]["1.0.0"]).bytes, old, without)
wrote("confluent 1.0.0", struct.pack(">bI", 0, 10), old, without)
json.dump({"messages": out}, sys.stdout)
