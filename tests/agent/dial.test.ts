import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { fields, parseBulk } from '../../packages/protocol/src/frame-codec.ts'
import { Field, FrameType, LIMITS } from '../../packages/protocol/src/frames.ts'
import { Agent, AgentError, agentError, BUILDS, type Client, run } from './harness.ts'

const errno = { EINVAL: 22, ECONNRESET: 104, ECONNREFUSED: 111 }

describe.each(BUILDS)('dial ($name)', ({ binary }) => {
  const open = async (serve: (socket: Socket) => void, host = '127.0.0.1') => {
    const agent = await Agent.start(binary)
    const client = await agent.connect()
    await client.expect(0, FrameType.HELLO)
    const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {})
      serve(socket)
    }).listen(0, host)
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const close = async () => {
      await agent[Symbol.asyncDispose]()
      server.close()
    }
    return { agent, client, port, server, [Symbol.asyncDispose]: close }
  }
  const dial = (client: Client, port: number) =>
    client.request(FrameType.DIAL, fields().u64(Field.PORT, port).encode())

  /** What comes until the end, everything acknowledged. */
  async function drain(client: Client, stream: number): Promise<Buffer> {
    const parts: Uint8Array[] = []
    for (let offset = 0; ; ) {
      const frame = await client.next(stream)
      if (frame.type === FrameType.END) return Buffer.concat(parts)
      if (frame.type === FrameType.ERROR) throw agentError(frame)
      if (frame.type === FrameType.ACK) continue
      const bulk = parseBulk(frame.payload)
      expect(bulk.offset).toBe(offset)
      parts.push(bulk.bytes)
      offset += bulk.bytes.length
      client.ack(stream, offset)
    }
  }
  const refused = async (promise: Promise<unknown>) => {
    const error = await promise.then(
      () => undefined,
      (e) => e,
    )
    expect(error).toBeInstanceOf(AgentError)
    return (error as AgentError).errno
  }

  test.for(['127.0.0.1', '::1'])('reaches %s, and half-closes both ways', async (host) => {
    await using o = await open((socket) => {
      const parts: Buffer[] = []
      socket.on('data', (part) => parts.push(part))
      socket.on('end', () => socket.end(`got ${Buffer.concat(parts)}`))
    }, host)
    const stream = dial(o.client, o.port)
    await o.client.expect(stream, FrameType.OK)
    o.client.bulk(FrameType.DATA, stream, 0, Buffer.from('this'))
    o.client.send(FrameType.END, stream)
    expect((await drain(o.client, stream)).toString()).toBe('got this')
  })

  test('bytes still go to a server that has ended its side', async () => {
    const got = Promise.withResolvers<string>()
    await using o = await open((socket) => {
      socket.end('bye')
      socket.on('data', (part) => got.resolve(part.toString()))
    })
    const stream = dial(o.client, o.port)
    await o.client.expect(stream, FrameType.OK)
    expect((await drain(o.client, stream)).toString()).toBe('bye')
    o.client.bulk(FrameType.DATA, stream, 0, Buffer.from('late'))
    expect(await got.promise).toBe('late')
    o.client.send(FrameType.END, stream)
    await run(o.client, { argv: ['true'] })
    expect(o.client.waiting(stream).map((f) => f.type)).toEqual([FrameType.ACK])
  })

  test('what is sent before the answer arrives all the same', async () => {
    await using o = await open((socket) => socket.pipe(socket))
    const stream = dial(o.client, o.port)
    o.client.bulk(FrameType.DATA, stream, 0, Buffer.from('early'))
    o.client.send(FrameType.END, stream)
    await o.client.expect(stream, FrameType.OK)
    expect((await drain(o.client, stream)).toString()).toBe('early')
  })

  test('a port where nobody listens is refused, and so is one that cannot be', async () => {
    await using o = await open(() => {})
    o.server.close()
    expect(await refused(o.client.expect(dial(o.client, o.port), FrameType.OK))).toBe(errno.ECONNREFUSED)
    expect(await refused(o.client.expect(dial(o.client, 0), FrameType.OK))).toBe(errno.EINVAL)
    expect(await refused(o.client.expect(dial(o.client, 65_536), FrameType.OK))).toBe(errno.EINVAL)
  })

  test('64 MiB come back as they went', { timeout: 60_000 }, async () => {
    await using o = await open((socket) => socket.pipe(socket))
    const total = 64 << 20
    const block = Buffer.from(crypto.getRandomValues(new Uint8Array(LIMITS.MAX_CHUNK)))
    const stream = dial(o.client, o.port)
    await o.client.expect(stream, FrameType.OK)
    let sent = 0
    let kept = 0
    let received = 0
    const feed = () => {
      for (; sent < total && sent + block.length - kept <= LIMITS.WINDOW; sent += block.length)
        o.client.bulk(FrameType.DATA, stream, sent, block)
      if (sent === total) o.client.send(FrameType.END, stream)
    }
    feed()
    for (;;) {
      const frame = await o.client.next(stream)
      if (frame.type === FrameType.END) break
      const bulk = parseBulk(frame.payload)
      if (frame.type === FrameType.ACK) {
        kept = bulk.offset
        if (sent < total) feed()
        continue
      }
      const at = bulk.offset % block.length
      const expected = Buffer.concat([block, block]).subarray(at, at + bulk.bytes.length)
      if (!expected.equals(bulk.bytes)) throw new Error(`Other bytes at ${bulk.offset}`)
      received += bulk.bytes.length
      o.client.ack(stream, received)
    }
    expect(received).toBe(total)
  })

  test('no more than a window comes without acknowledgement', async () => {
    await using o = await open((socket) => socket.write(Buffer.alloc(2 << 20)))
    const stream = dial(o.client, o.port)
    await o.client.expect(stream, FrameType.OK)
    for (let i = 0; i < 20; i++) await run(o.client, { argv: ['true'] })
    const total = o.client.waiting(stream).reduce((sum, f) => sum + f.payload.length - 8, 0)
    expect(total).toBeGreaterThan(0)
    expect(total).toBeLessThanOrEqual(LIMITS.WINDOW)
    o.client.send(FrameType.CANCEL, stream)
  })

  test('a server that takes nothing holds up nobody else, and more than a window breaks the protocol', async () => {
    await using o = await open((socket) => socket.pause())
    const stream = dial(o.client, o.port)
    await o.client.expect(stream, FrameType.OK)
    let sent = 0
    let kept = 0
    const chunk = Buffer.alloc(LIMITS.MAX_CHUNK)
    for (let idle = 0; idle < 20; ) {
      for (const frame of o.client.waiting(stream).splice(0)) kept = parseBulk(frame.payload).offset
      const room = sent + chunk.length - kept <= LIMITS.WINDOW
      if (room) o.client.bulk(FrameType.DATA, stream, sent, chunk)
      if (room) sent += chunk.length
      idle = room ? 0 : idle + 1
      await run(o.client, { argv: ['true'] })
    }
    for (let i = 0; i < 5; i++, sent += chunk.length) o.client.bulk(FrameType.DATA, stream, sent, chunk)
    await expect(o.client.next(stream)).rejects.toThrow('closed')
  })

  test('a reset is told either way', async () => {
    const sockets: Socket[] = []
    await using o = await open((socket) => sockets.push(socket))
    const first = dial(o.client, o.port)
    await o.client.expect(first, FrameType.OK)
    while (!sockets[0]) await run(o.client, { argv: ['true'] })
    sockets[0].resetAndDestroy()
    expect(await refused(drain(o.client, first))).toBe(errno.ECONNRESET)
    const second = dial(o.client, o.port)
    await o.client.expect(second, FrameType.OK)
    while (!sockets[1]) await run(o.client, { argv: ['true'] })
    const error = once(sockets[1].resume(), 'error').then(([e]) => (e as NodeJS.ErrnoException).code)
    o.client.send(FrameType.CANCEL, second)
    expect(await error).toBe('ECONNRESET')
  })

  test('ends with its connection', async () => {
    const ended = Promise.withResolvers<void>()
    await using o = await open((socket) => socket.resume().on('close', () => ended.resolve()))
    await o.client.expect(dial(o.client, o.port), FrameType.OK)
    o.client.close()
    await ended.promise
    const next = await o.agent.connect()
    await next.expect(0, FrameType.HELLO)
    expect((await run(next, { argv: ['true'] })).exitCode).toBe(0)
  })

  test('many at once, each with its own bytes', async () => {
    await using o = await open((socket) => socket.pipe(socket))
    const streams = Array.from({ length: 100 }, () => dial(o.client, o.port))
    for (const stream of streams) {
      await o.client.expect(stream, FrameType.OK)
      o.client.bulk(FrameType.DATA, stream, 0, Buffer.from(`stream ${stream}`))
      o.client.send(FrameType.END, stream)
    }
    for (const stream of streams) expect((await drain(o.client, stream)).toString()).toBe(`stream ${stream}`)
  })
})
