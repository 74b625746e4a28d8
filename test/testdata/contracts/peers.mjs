// Reads the messages on its input and writes as many of its own, with avsc and
// with glue-schema-registry of meinestadt.de.
import avro from "avsc";
import msglue from "@meinestadt.de/glue-schema-registry";
import { readFileSync } from "node:fs";

const { url, account, schemas, ids, fingerprint, messages } = JSON.parse(readFileSync(0, "utf8"));
const type = avro.Type.forSchema(JSON.parse(schemas["1.1.0"]));
const old = avro.Type.forSchema(JSON.parse(schemas["1.0.0"]));
const registry = new msglue.GlueSchemaRegistry("shop", { region: "us-east-1", endpoint: url, credentials: { accessKeyId: account, secretAccessKey: "any" } });
const value = { id: "p-1 ö", total: 2 ** 40, state: "PAID", note: "for you" };

const le = Buffer.from(fingerprint, "hex").reverse();
const id = (n) => { const b = Buffer.alloc(5); b.writeUInt32BE(n, 1); return b; };
const skip = { confluent: 5, single: 10, named: 0, bare: 0 };
const out = [];
const read = (what, v) => out.push({ what, value: { id: v.id, total: v.total, state: v.state, note: v.note } });
for (const { what, body, attributes } of messages) {
  const bytes = Buffer.from(body, "base64");
  if (what === "glue" || what === "zlib") read(what, await registry.decode(bytes, type));
  else if (what === "event") read(what, type.fromString(JSON.stringify(JSON.parse(body).data)));
  else read(what, type.fromBuffer(bytes.subarray(skip[what])));
  if (what === "single" && bytes.subarray(0, 10).compare(Buffer.concat([Buffer.from([0xc3, 1]), le])) !== 0) throw new Error("single object header " + bytes.toString("hex"));
  if (what === "named" && (attributes.dataschema !== "shop/purchase" || attributes.dataschemaversion !== "1.1.0" || attributes.datacontenttype !== "avro/binary")) throw new Error(JSON.stringify(attributes));
}

const wrote = (what, bytes, attributes) => out.push({ what, body: bytes.toString("base64"), attributes });
wrote("glue", await registry.encode(ids["1.1.0"], value, { compress: false }));
wrote("zlib", await registry.encode(ids["1.1.0"], value, { compress: true }));
const again = await registry.register({ schemaName: "purchase", type: msglue.SchemaType.AVRO, schema: schemas["1.0.0"] });
if (again !== ids["1.0.0"]) throw new Error("a version that was there was registered as " + again);
wrote("old 1.0.0", await registry.encode(again, { id: value.id, total: value.total, state: value.state }));
const payload = type.toBuffer(value);
wrote("confluent", Buffer.concat([id(11), payload]));
wrote("confluent 1.0.0", Buffer.concat([id(10), old.toBuffer(value)]));
wrote("single", Buffer.concat([Buffer.from([0xc3, 1]), le, payload]));
wrote("named", payload, { dataschema: "shop/purchase", dataschemaversion: "1.1.0", datacontenttype: "avro/binary" });
wrote("named 1.0.0", old.toBuffer(value), { dataschema: "shop/purchase@1.0.0" });
wrote("bare", payload);
out.push({ what: "event", body: JSON.stringify({ dataschema: "shop/purchase", dataschemaversion: "1.1.0", data: JSON.parse(type.toString(value)) }) });
console.log(JSON.stringify({ messages: out }));
