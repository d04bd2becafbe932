import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { parseBulk } from '../../packages/protocol/src/frame-codec.ts'
import { Field, FrameType, LIMITS } from '../../packages/protocol/src/frames.ts'
import { Agent, BUILDS, type Client, collect, run, until } from './harness.ts'

/** Prints a sequence whose every eight bytes differ, so that a lost, doubled or moved byte changes the digest. */
const counter = (bytes: number) => [
  'python3',
  '-c',
  `import sys
w = sys.stdout.buffer
for at in range(0, ${bytes}, 65536): w.write(b''.join(n.to_bytes(8, 'big') for n in range(at // 8, at // 8 + 8192)))`,
]

function counterDigest(bytes: number): string {
  const hash = createHash('sha256')
  const block = Buffer.alloc(65536)
  for (let at = 0; at < bytes; at += block.length) {
    for (let i = 0; i < block.length; i += 8) block.writeBigUInt64BE(BigInt((at + i) / 8), i)
    hash.update(block)
  }
  return hash.digest('hex')
}

const greet = async (agent: Agent): Promise<Client> => {
  const client = await agent.connect()
  await client.expect(0, FrameType.HELLO)
  return client
}

describe.each(BUILDS)('flow ($name)', ({ binary }) => {
  test('64 MiB of output arrive byte for byte', async () => {
    await using agent = await Agent.start(binary)
    const size = 64 << 20
    const result = await run(await greet(agent), { argv: counter(size) })
    expect(result.stdout.length).toBe(size)
    expect(createHash('sha256').update(result.stdout).digest('hex')).toBe(counterDigest(size))
  })

  test('output survives 200 broken connections in the middle of a flood', async () => {
    await using agent = await Agent.start(binary)
    const size = 32 << 20
    const hash = createHash('sha256')
    let kept = 0
    let client = await greet(agent)
    const { stream: first, id } = client.start({ argv: counter(size) })
    let stream = first
    let breaks = 0
    for (let done = false; !done; ) {
      // Up to half a window, so that breaks fall anywhere within frames and acknowledgements.
      let patience = breaks < 200 ? Math.floor((Math.random() * LIMITS.WINDOW) / 2) : Infinity
      while (patience > 0 && !done) {
        const frame = await client.next(stream)
        if (frame.type === FrameType.OUTPUT) {
          const { offset, bytes } = parseBulk(frame.payload)
          expect(offset).toBe(kept)
          hash.update(bytes)
          kept += bytes.length
          patience -= bytes.length
          // In between, some are left out; at the end nobody would attach again if the window ran full.
          if (breaks === 200 || Math.random() < 0.7) client.ack(stream, kept)
        }
        if (frame.type === FrameType.OUTPUT_CLOSED) done = true
      }
      if (done) break
      breaks++
      // Half the time the new connection comes while the old one still stands.
      if (Math.random() < 0.5) client.close()
      client = await greet(agent)
      stream = client.attach(id, kept)
    }
    expect(breaks).toBe(200)
    expect(kept).toBe(size)
    expect(hash.digest('hex')).toBe(counterDigest(size))
  })

  test('no more than a window is sent or read without acknowledgement, and nothing is lost', async () => {
    await using agent = await Agent.start(binary)
    const client = await greet(agent)
    const { stream } = client.start({ argv: counter(4 << 20) })
    const held = () =>
      client
        .waiting(stream)
        .filter((f) => f.type === FrameType.OUTPUT)
        .reduce((sum, f) => sum + f.payload.length - 8, 0)
    await until(() => held() === LIMITS.WINDOW)
    // Everything else goes on meanwhile, and nothing of the flood passes the window.
    for (let i = 0; i < 20; i++) await run(client, { argv: ['true'] })
    expect(held()).toBe(LIMITS.WINDOW)
    const result = await collect(client, stream)
    expect(createHash('sha256').update(result.stdout).digest('hex')).toBe(counterDigest(4 << 20))
  })

  test('a connection that stops reading makes neither the agent grow nor anything get lost', async () => {
    await using agent = await Agent.start(binary)
    const client = await greet(agent)
    await run(client, { argv: ['true'] })
    const before = agent.rss()
    const { stream } = client.start({ argv: counter(8 << 20) })
    client.pause()
    const other = client.start({ argv: counter(8 << 20) })
    await new Promise((wake) => setTimeout(wake, 300))
    expect(agent.rss() - before).toBeLessThan(4096)
    client.resume()
    const results = await Promise.all([collect(client, stream), collect(client, other.stream)])
    for (const result of results)
      expect(createHash('sha256').update(result.stdout).digest('hex')).toBe(counterDigest(8 << 20))
  })

  test('a flood does not starve another stream', async () => {
    await using agent = await Agent.start(binary)
    const client = await greet(agent)
    const flood = client.start({ argv: ['cat', '/dev/zero'] })
    await client.expect(flood.stream, FrameType.STARTED)
    let flooded = 0
    let going = true
    const drain = (async () => {
      while (going) {
        const frame = await client.next(flood.stream)
        if (frame.type !== FrameType.OUTPUT) return
        const { offset, bytes } = parseBulk(frame.payload)
        flooded = offset + bytes.length
        client.ack(flood.stream, flooded)
      }
    })()
    const a = client.start({ argv: counter(4 << 20) })
    const b = client.start({ argv: counter(4 << 20) })
    const [ra, rb] = await Promise.all([collect(client, a.stream), collect(client, b.stream)])
    expect(ra.stdout.equals(rb.stdout)).toBe(true)
    expect(flooded).toBeGreaterThan(0)
    client.signal(flood.stream, 9, 0)
    going = false
    await drain
  })

  test('output below the attached offset is skipped, past the end is refused', async () => {
    await using agent = await Agent.start(binary)
    const client = await greet(agent)
    const { stream, id } = client.start({ argv: ['sh', '-c', 'printf 0123456789; sleep 1000'] })
    await client.expect(stream, FrameType.STARTED)
    await client.next(stream)
    const middle = client.attach(id, 4)
    await client.expect(middle, FrameType.STARTED)
    const tail = parseBulk((await client.next(middle)).payload)
    expect([tail.offset, Buffer.from(tail.bytes).toString()]).toEqual([4, '456789'])
    const low = client.attach(id, 0)
    await client.expect(low, FrameType.STARTED)
    expect(parseBulk((await client.next(low)).payload).offset).toBe(4)
    const high = client.attach(id, 11)
    expect((await client.expect(high, FrameType.ERROR)).u64(Field.ERRNO)).toBe(22)
    client.signal(low, 9, 1)
  })

  test('stdin goes on after a reconnection from what was received', async () => {
    await using agent = await Agent.start(binary)
    const client = await greet(agent)
    const { stream, id } = client.start({ argv: ['sh', '-c', 'read go; cat'], stdin: true })
    await client.expect(stream, FrameType.STARTED)
    client.bulk(FrameType.STDIN, stream, 0, Buffer.from('go\nhal'))
    await client.next(stream)
    client.close()
    const next = await greet(agent)
    const again = next.attach(id, 0)
    const received = (await next.expect(again, FrameType.STARTED)).u64(Field.OFFSET)
    expect(received).toBe(6)
    // Sent again from earlier on, as a host does that did not see the acknowledgement.
    next.bulk(FrameType.STDIN, again, 3, Buffer.from('halves'))
    next.send(FrameType.STDIN_CLOSE, again)
    const texts: string[] = []
    for (let closed = false; !closed; ) {
      const frame = await next.next(again)
      if (frame.type === FrameType.OUTPUT) texts.push(Buffer.from(parseBulk(frame.payload).bytes).toString())
      closed = frame.type === FrameType.OUTPUT_CLOSED
    }
    expect(texts.join('')).toBe('halves')
  })

  test('two hundred programs at once all come through', async () => {
    await using agent = await Agent.start(binary)
    const client = await greet(agent)
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        run(client, { argv: ['sh', '-c', `echo ${i}; exit ${i % 100}`] }),
      ),
    )
    expect(results.map((r) => [r.stdout.toString(), r.exitCode])).toEqual(
      results.map((_, i) => [`${i}\n`, i % 100]),
    )
  })
})

describe('memory', () => {
  const shipped = BUILDS.find((build) => build.name === 'static')
  test.runIf(shipped)('an idle agent stays below 1 MiB resident, and below 2 MiB after work', async () => {
    await using agent = await Agent.start(shipped!.binary)
    const client = await greet(agent)
    await run(client, { argv: ['true'] })
    expect(agent.rss()).toBeLessThan(1024)
    await Promise.all(Array.from({ length: 50 }, () => run(client, { argv: counter(1 << 20) })))
    expect(agent.rss()).toBeLessThan(2048)
  })
})
