import { describe, expect, test } from 'vitest'
import { encodeFrame, fields } from '../../packages/protocol/src/frame-codec.ts'
import { Field, FrameType, LIMITS, PROTOCOL_GENERATION } from '../../packages/protocol/src/frames.ts'
import { Agent, BUILDS, type Client, run, until } from './harness.ts'

const header = (length: number, type = FrameType.START, reserved = 0) => {
  const bytes = encodeFrame(type, 1)
  new DataView(bytes.buffer).setUint32(0, length, true)
  bytes[10] = reserved
  return bytes
}
const started = async (client: Client) => {
  const { stream } = client.start({ argv: ['sleep', '1000'] })
  await client.expect(stream, FrameType.STARTED)
  return stream
}
const bulk = (type: FrameType, size: number) => (client: Client, stream: number) =>
  client.raw(encodeFrame(type, stream, new Uint8Array(size)))

describe.each(BUILDS)('protocol ($name)', ({ binary }) => {
  test('the agent greets with its generation and the same nonce each time', async () => {
    await using agent = await Agent.start(binary)
    const one = await (await agent.connect()).expect(0, FrameType.HELLO)
    const two = await (await agent.connect()).expect(0, FrameType.HELLO)
    expect(one.u64(Field.GENERATION)).toBe(PROTOCOL_GENERATION)
    expect(one.bytes(Field.NONCE)!.length).toBe(16)
    expect(two.bytes(Field.NONCE)).toEqual(one.bytes(Field.NONCE))
  })

  test('a new connection replaces the old one', async () => {
    await using agent = await Agent.start(binary)
    const old = await agent.connect()
    await old.expect(0, FrameType.HELLO)
    const next = await agent.connect()
    await next.expect(0, FrameType.HELLO)
    await until(() => old.closed)
    next.send(FrameType.HELLO, 0, fields().u64(Field.GENERATION, 1).encode())
    expect((await run(next, { argv: ['true'] })).exitCode).toBe(0)
  })

  const broken: Record<string, (client: Client, stream: number) => void> = {
    'a payload above the limit': (c) => c.raw(header(LIMITS.MAX_PAYLOAD + 1)),
    'a length of all ones': (c) => c.raw(header(0xffffffff)),
    'reserved header bytes': (c) => c.raw(header(0, FrameType.START, 1)),
    'a field past its payload': (c) =>
      c.raw(encodeFrame(FrameType.START, 99, Uint8Array.of(5, 255, 255, 255, 255))),
    'a field cut short': (c) => c.raw(encodeFrame(FrameType.FILE_STAT, 99, Uint8Array.of(5, 0))),
    'a number of three bytes': (c) =>
      c.raw(encodeFrame(FrameType.ATTACH, 99, fields().bytes(Field.OFFSET, new Uint8Array(3)).encode())),
    'a request on stream 0': (c) => c.send(FrameType.FILE_STAT, 0, fields().string(Field.PATH, '/').encode()),
    'a stream used twice': (c, s) =>
      c.send(FrameType.FILE_STAT, s, fields().string(Field.PATH, '/').encode()),
    'a hello of generation 0': (c) => c.send(FrameType.HELLO, 0, fields().u64(Field.GENERATION, 0).encode()),
    'an ack without offset': bulk(FrameType.ACK, 7),
    'an ack with bytes': bulk(FrameType.ACK, 9),
    'an ack of what was never sent': (c, s) => c.ack(s, 1),
    'stdin without offset': bulk(FrameType.STDIN, 3),
    'stdin above a chunk': bulk(FrameType.STDIN, LIMITS.MAX_CHUNK + 9),
    'stdin with a gap': (c, s) => c.bulk(FrameType.STDIN, s, 1, Buffer.from('x')),
    'data for an execution': bulk(FrameType.DATA, 8),
    'a signal without sense': (c, s) => c.raw(encodeFrame(FrameType.SIGNAL, s, Uint8Array.of(1))),
  }
  test.each(Object.keys(broken))(
    '%s closes the connection; the agent and its executions live',
    async (name) => {
      await using agent = await Agent.start(binary)
      const client = await agent.connect()
      await client.expect(0, FrameType.HELLO)
      const stream = await started(client)
      broken[name]!(client, stream)
      await until(() => client.closed)
      const next = await agent.connect()
      expect((await next.expect(0, FrameType.HELLO)).strings(Field.EXECUTION).length).toBe(1)
      expect((await run(next, { argv: ['true'] })).exitCode).toBe(0)
    },
  )

  test('more stdin than the window closes the connection', async () => {
    await using agent = await Agent.start(binary)
    const client = await agent.connect()
    await client.expect(0, FrameType.HELLO)
    const { stream } = client.start({ argv: ['sleep', '1000'], stdin: true })
    await client.expect(stream, FrameType.STARTED)
    const chunk = new Uint8Array(LIMITS.MAX_CHUNK)
    // The pipe takes one window's quarter, the queue the rest; what goes beyond was not acknowledged.
    for (let at = 0; at < 3 * LIMITS.WINDOW; at += chunk.length)
      client.bulk(FrameType.STDIN, stream, at, chunk)
    await until(() => client.closed)
  })

  test('random bytes never harm the agent', async () => {
    await using agent = await Agent.start(binary)
    for (let round = 0; round < 200; round++) {
      const client = await agent.connect()
      await client.expect(0, FrameType.HELLO)
      const noise = crypto.getRandomValues(new Uint8Array(1 + Math.floor(Math.random() * 200)))
      // Half of the rounds get past the header, so that the fields are reached.
      if (round % 2) client.raw(encodeFrame((1 + (round % 41)) as FrameType, 1 + (round % 3), noise))
      else client.raw(noise)
      client.close()
    }
    const last = await agent.connect()
    await last.expect(0, FrameType.HELLO)
    expect((await run(last, { argv: ['true'] })).exitCode).toBe(0)
  })
})
