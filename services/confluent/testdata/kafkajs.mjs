import { SchemaRegistry, SchemaType, COMPATIBILITY } from '@kafkajs/confluent-schema-registry'
import assert from 'node:assert'

const host = process.argv[2]
const registry = new SchemaRegistry({ host, auth: { username: '111111111111', password: 'any' } })
const v1 = { type: 'record', name: 'Order', namespace: 'shop', fields: [{ name: 'id', type: 'string' }, { name: 'total', type: 'double' }] }
const v2 = { ...v1, fields: [...v1.fields, { name: 'note', type: 'string', default: '' }] }
const { id } = await registry.register({ type: SchemaType.AVRO, schema: JSON.stringify(v1) }, { subject: 'kafkajs', compatibility: COMPATIBILITY.FULL })
const second = await registry.register({ type: SchemaType.AVRO, schema: JSON.stringify(v2) }, { subject: 'kafkajs', compatibility: COMPATIBILITY.FULL })
assert.notStrictEqual(id, second.id)
assert.strictEqual(await registry.getLatestSchemaId('kafkajs'), second.id)
assert.strictEqual(await registry.getRegistryId('kafkajs', 1), id)
const bytes = await registry.encode(id, { id: 'o-1', total: 3.5 })
assert.strictEqual(bytes[0], 0)
assert.strictEqual(bytes.readInt32BE(1), id)
const fresh = new SchemaRegistry({ host }) // it has no schema cached: it asks for the id
assert.deepStrictEqual({ ...(await fresh.decode(bytes)) }, { id: 'o-1', total: 3.5 })
await assert.rejects(
  registry.register({ type: SchemaType.AVRO, schema: JSON.stringify({ ...v1, fields: [v1.fields[0]] }) }, { subject: 'kafkajs', compatibility: COMPATIBILITY.FULL }),
  /incompatible/)
await assert.rejects(fresh.getSchema(999999), /Schema 999999 not found/)
console.log('done')
