import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttps, request } from 'node:https'
import { createServer as createTcp, type Socket } from 'node:net'
import { createServer as createTls, type TLSSocket, connect as tlsConnect } from 'node:tls'
import { expect, test } from 'vitest'
import { EgressWorld, makeCertificate, NEIGHBOUR, readAll, SANDBOX } from './egress.test-kit.ts'

const identity = makeCertificate(['good.test', 'other.test', 'evil.test'])

/** Answers with the name that it was asked by, and echoes what it gets. */
function tlsEcho() {
  return createTls({ ...identity, allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    socket.write(`${socket.servername || 'no name'}\n`)
    socket.pipe(socket)
  })
}

async function handshake(world: EgressWorld, servername: string, from = SANDBOX): Promise<TLSSocket> {
  const socket = await world.connect('tls', from)
  const tls = tlsConnect({ socket, servername, ca: identity.cert })
  await once(tls, 'secureConnect')
  return tls
}

async function failure(world: EgressWorld, servername: string): Promise<string> {
  return await handshake(world, servername).then(
    () => 'it passed',
    (error) => error.code,
  )
}

async function greeting(tls: TLSSocket): Promise<string> {
  const [chunk] = await once(tls, 'data')
  return String(chunk).trim()
}

test('a name that is allowed is reached at its own addresses, and its certificate is the real one', async () => {
  await using world = await EgressWorld.open()
  const subject = world.subject({ names: ['good.test'] })
  world.names.set('good.test', ['127.0.0.1'])
  await world.serve(443, tlsEcho())
  const tls = await handshake(world, 'good.test')
  expect(tls.authorized).toBe(true)
  expect(await greeting(tls)).toBe('good.test')
  tls.end('bye')
  await once(tls, 'close')
  await expect.poll(() => subject.seen.length).toBe(2)
  expect(subject.seen[0]).toMatchObject({ verdict: 'allowed', protocol: 'tls', name: 'good.test', port: 443 })
  expect(subject.seen[1]).toMatchObject({ rule: 'allow good.test', address: '127.0.0.1' })
  expect(subject.seen[1]!.bytes!.up).toBeGreaterThan(200)
  expect(subject.seen[1]!.bytes!.down).toBeGreaterThan(200)
})

test('a name that is not allowed is reset before anything is sent, and the refusal says its name and socket', async () => {
  await using world = await EgressWorld.open()
  const subject = world.subject({ names: ['good.test'] })
  let asked = 0
  const server = createTcp(() => asked++)
  await world.serve(443, server)
  world.names.set('evil.test', ['127.0.0.1'])
  expect(await failure(world, 'evil.test')).toBe('ECONNRESET')
  expect(asked).toBe(0)
  expect(subject.seen).toHaveLength(1)
  expect(subject.seen[0]).toMatchObject({
    verdict: 'refused',
    name: 'evil.test',
    rule: 'default deny',
    port: 443,
  })
  expect(subject.seen[0]!.source!.port).toBeGreaterThan(0)
})

test('an address outside every sandbox gets nothing', async () => {
  await using world = await EgressWorld.open()
  world.subject({ names: ['good.test'] })
  world.names.set('good.test', ['127.0.0.1'])
  await world.serve(443, tlsEcho())
  const socket = await world.connect('tls', NEIGHBOUR)
  socket.write(await helloOf('good.test'))
  expect((await readAll(socket)).text).toBe('')
})

test('a name that leads to a refused address is refused, and is reached at its other addresses', async () => {
  await using world = await EgressWorld.open()
  const subject = world.subject({ names: ['good.test'], deny: ['127.0.0.9'] })
  await world.serve(443, tlsEcho())
  world.names.set('good.test', ['127.0.0.9'])
  expect(await failure(world, 'good.test')).toBe('ECONNRESET')
  expect(subject.seen[0]).toMatchObject({ rule: 'private address', name: 'good.test', address: '127.0.0.9' })
  world.names.set('good.test', ['127.0.0.9', '127.0.0.1'])
  const tls = await handshake(world, 'good.test')
  expect(await greeting(tls)).toBe('good.test')
  tls.destroy()
})

test('an address that does not answer is passed over; none that answers is a reset and no refusal', async () => {
  await using world = await EgressWorld.open()
  const subject = world.subject({ names: ['good.test'] })
  await world.serve(443, tlsEcho())
  world.names.set('good.test', ['127.0.0.77', '127.0.0.1'])
  const tls = await handshake(world, 'good.test')
  tls.destroy()
  world.names.set('good.test', ['127.0.0.77'])
  expect(await failure(world, 'good.test')).toBe('ECONNRESET')
  world.names.delete('good.test')
  expect(await failure(world, 'good.test')).toBe('ECONNRESET')
  expect(subject.refusals()).toEqual([])
  expect(subject.seen.at(-1)!.message).toMatch(/no address/)
})

test.each<[string, string | Buffer, string]>([
  ['plain HTTP', 'GET / HTTP/1.1\r\nHost: good.test\r\n\r\n', 'not TLS'],
  ['SSH', 'SSH-2.0-OpenSSH_9.2\r\n', 'not TLS'],
  ['SSLv2', Buffer.from([0x80, 0x2e, 1, 3, 1, 0, 21]), 'not TLS'],
  ['a record without end', Buffer.alloc(20_000, Buffer.from([22, 3, 1, 0x40, 0x01])), 'malformed TLS'],
])('%s at port 443 is refused at once', async (_, bytes, rule) => {
  await using world = await EgressWorld.open()
  const subject = world.subject({ names: ['good.test'] })
  const socket = await world.connect('tls')
  socket.write(bytes)
  expect((await readAll(socket)).error).toBe('ECONNRESET')
  expect(subject.refusals()).toEqual([rule])
})

test('TLS without a name is refused', async () => {
  await using world = await EgressWorld.open()
  const subject = world.subject({ names: ['good.test'] })
  expect(await failure(world, '')).toBe('ECONNRESET')
  expect(subject.refusals()).toEqual(['TLS without a name'])
})

test('a hello that comes in pieces is read as one, and every byte of it goes on', async () => {
  await using world = await EgressWorld.open()
  world.subject({ names: ['good.test'] })
  world.names.set('good.test', ['127.0.0.1'])
  await world.serve(443, tlsEcho())
  const proxied = await world.connect('tls')
  proxied.setNoDelay(true)
  const relay = createTcp(async (client: Socket) => {
    proxied.pipe(client)
    for await (const chunk of client) {
      for (const byte of chunk.subarray(0, 700)) {
        proxied.write(Buffer.from([byte]))
        await new Promise(setImmediate)
      }
      proxied.write(chunk.subarray(700))
    }
  })
  relay.listen(0)
  await once(relay, 'listening')
  const port = (relay.address() as { port: number }).port
  const tls = tlsConnect({ port, servername: 'good.test', ca: identity.cert })
  expect(await greeting(tls)).toBe('good.test')
  tls.destroy()
  relay.close()
})

test('a hello that comes too slowly is given up', async () => {
  await using world = await EgressWorld.open({ helloMs: 200 })
  const subject = world.subject({ names: ['good.test'] })
  const socket = await world.connect('tls')
  const all = readAll(socket)
  const timer = setInterval(() => socket.write(Buffer.from([3])), 20)
  socket.write(Buffer.from([22, 3, 1, 1, 0]))
  expect((await all).error).toBe('ECONNRESET')
  clearInterval(timer)
  expect(subject.refusals()).toEqual(['not TLS'])
})

test('a client that leaves early is forgotten', async () => {
  await using world = await EgressWorld.open()
  const subject = world.subject({ names: ['good.test'] })
  const socket = await world.connect('tls')
  socket.write(Buffer.from([22, 3, 1]))
  await expect.poll(() => world.egress.size).toBe(1)
  socket.end()
  await readAll(socket)
  await expect.poll(() => world.egress.size).toBe(0)
  expect(subject.seen).toEqual([])
})

test('big bodies go both ways, at the same time, unchanged', async () => {
  await using world = await EgressWorld.open()
  world.subject({ names: ['good.test'] })
  world.names.set('good.test', ['127.0.0.1'])
  const server = createHttps(identity, (req, res) => req.pipe(res))
  await world.serve(443, server)
  const socket = await world.connect('tls')
  const body = randomBytes(20 * 1024 * 1024)
  const req = request({
    createConnection: () => tlsConnect({ socket, servername: 'good.test', ca: identity.cert }),
    method: 'POST',
    host: 'good.test',
  })
  req.end(body)
  const [res] = await once(req, 'response')
  const hash = createHash('sha256')
  for await (const chunk of res) hash.update(chunk)
  expect(hash.digest('hex')).toBe(createHash('sha256').update(body).digest('hex'))
})

test('each direction ends by itself', async () => {
  await using world = await EgressWorld.open()
  world.subject({ names: ['good.test'] })
  world.names.set('good.test', ['127.0.0.1'])
  const late = createTcp({ allowHalfOpen: true }, (socket) => {
    let got = 0
    socket.on('data', (chunk) => {
      got += chunk.length
    })
    socket.on('end', () => setTimeout(() => socket.end(`got ${got}`), 50))
  })
  await world.serve(443, late)
  const socket = await world.connect('tls')
  const hello = await helloOf('good.test')
  socket.end(hello)
  expect(await readAll(socket)).toEqual({ text: `got ${hello.length}`, error: null })
})

test('a server that breaks off is seen as broken', async () => {
  await using world = await EgressWorld.open()
  world.subject({ names: ['good.test'] })
  world.names.set('good.test', ['127.0.0.1'])
  await world.serve(
    443,
    createTcp((socket) => socket.once('data', () => socket.resetAndDestroy())),
  )
  const socket = await world.connect('tls')
  socket.write(await helloOf('good.test'))
  expect((await readAll(socket)).error).toBe('ECONNRESET')
})

test('a slow reader slows the server: what waits is bounded', async () => {
  await using world = await EgressWorld.open()
  world.subject({ names: ['good.test'] })
  world.names.set('good.test', ['127.0.0.1'])
  let sender: Socket | null = null
  const server = createTcp((socket) => {
    sender = socket
    socket.on('error', () => {})
    const more = () => {
      while (socket.write(Buffer.alloc(65_536)));
    }
    socket.on('drain', more)
    more()
  })
  await world.serve(443, server)
  const socket = await world.connect('tls')
  socket.pause()
  socket.write(await helloOf('good.test'))
  let last = -1
  await expect
    .poll(
      () => {
        const now = sender?.bytesWritten ?? 0
        const same = now === last && now > 0
        last = now
        return same
      },
      { interval: 300, timeout: 20_000 },
    )
    .toBe(true)
  // Kernel buffers of two connections, and two of 64 KiB.
  expect(last).toBeLessThan(64 * 1024 * 1024)
  socket.destroy()
})

test('a change of the rules resets what is allowed no more, and nothing else', async () => {
  await using world = await EgressWorld.open()
  const subject = world.subject({ names: ['good.test', 'other.test'] })
  const neighbour = world.subject({ names: ['good.test'] }, NEIGHBOUR)
  for (const name of ['good.test', 'other.test']) world.names.set(name, ['127.0.0.1'])
  await world.serve(443, tlsEcho())
  const good = await handshake(world, 'good.test')
  const other = await handshake(world, 'other.test')
  const theirs = await handshake(world, 'good.test', NEIGHBOUR)
  for (const tls of [good, other, theirs]) await greeting(tls)
  const reset = once(good, 'error')
  subject.policy = world.subject({ names: ['other.test'] }).policy
  world.subjects.set(SANDBOX, subject)
  world.egress.cut(subject.id)
  expect((await reset)[0].code).toBe('ECONNRESET')
  for (const tls of [other, theirs]) {
    tls.write('still here')
    expect(String((await once(tls, 'data'))[0])).toBe('still here')
  }
  expect(subject.refusals()).toEqual(['default deny'])
  expect(neighbour.refusals()).toEqual([])
  const gone = once(other, 'error')
  world.subjects.delete(SANDBOX)
  world.egress.cut(subject.id)
  expect((await gone)[0].code).toBe('ECONNRESET')
  theirs.destroy()
})

test('rules that change while a connection is being made hold for it', async () => {
  await using world = await EgressWorld.open({
    resolver: {
      resolve: async () => {
        subject.policy = world.subject({ names: [] }).policy
        return ['127.0.0.1']
      },
    },
  })
  const subject = world.subject({ names: ['good.test'] })
  await world.serve(443, tlsEcho())
  expect(await failure(world, 'good.test')).toBe('ECONNRESET')
  expect(subject.refusals()).toEqual(['default deny'])
})

test('200 connections at once', async () => {
  await using world = await EgressWorld.open()
  world.subject({ names: ['good.test'] })
  world.names.set('good.test', ['127.0.0.1'])
  await world.serve(443, tlsEcho())
  const all = await Promise.all(
    Array.from({ length: 200 }, async () => {
      const tls = await handshake(world, 'good.test')
      const said = await greeting(tls)
      tls.destroy()
      return said
    }),
  )
  expect(new Set(all)).toEqual(new Set(['good.test']))
  await expect.poll(() => world.egress.size).toBe(0)
})

test('a sandbox has so many connections and no more; others have theirs', async () => {
  await using world = await EgressWorld.open({ limits: { perSandbox: 2, total: 10 } })
  const subject = world.subject({ names: ['good.test'] })
  world.subject({ names: ['good.test'] }, NEIGHBOUR)
  world.names.set('good.test', ['127.0.0.1'])
  await world.serve(443, tlsEcho())
  const open = [await handshake(world, 'good.test'), await handshake(world, 'good.test')]
  expect((await readAll(await world.connect('tls'))).text).toBe('')
  expect(subject.refusals()).toEqual(['connection limit'])
  open.push(await handshake(world, 'good.test', NEIGHBOUR))
  open[0]!.destroy()
  await expect.poll(() => world.egress.size).toBe(2)
  open.push(await handshake(world, 'good.test'))
  for (const tls of open) tls.destroy()
})

/** What a client says first for this name. */
async function helloOf(servername: string): Promise<Buffer> {
  const listener = createTcp()
  listener.listen(0)
  await once(listener, 'listening')
  const client = tlsConnect({ port: (listener.address() as { port: number }).port, servername })
  client.on('error', () => {})
  const [socket] = (await once(listener, 'connection')) as [Socket]
  const [hello] = await once(socket, 'data')
  client.destroy()
  socket.destroy()
  listener.close()
  return hello
}
