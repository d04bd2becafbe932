import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { PORTS, PortWorld, until } from './world.ts'

let world: PortWorld
beforeAll(async () => {
  world = await PortWorld.make()
})
afterAll(() => world?.[Symbol.asyncDispose]())

const MIB = 1024 * 1024
const BLOCK = createHash('shake256', { outputLength: MIB }).update('caisson').digest()

function digestOfBlocks(count: number): string {
  const hash = createHash('sha256')
  for (let i = 0; i < count; i++) hash.update(BLOCK)
  return hash.digest('hex')
}

test('a request arrives as it was sent, but for what belongs to one connection', async () => {
  const { status, json, raw } = await world.ask('/echo/a%20b//c?x=1&y=%26&&z', {
    method: 'PATCH',
    headers: {
      'X-Mine': 'a',
      accept: '*/*',
      te: 'trailers',
      connection: 'close, x-hop, host',
      'x-hop': '1',
      'content-length': 5,
      authorization: 'Bearer of the program',
    },
    body: 'hello',
  })
  expect([status, raw.statusMessage]).toEqual([200, 'Fine'])
  expect(json).toMatchObject({ method: 'PATCH', target: '/echo/a%20b//c?x=1&y=%26&&z' })
  expect(json.body).toEqual({ size: 5, sha256: createHash('sha256').update('hello').digest('hex') })
  const headers = Object.fromEntries(json.headers)
  expect(headers).toMatchObject({
    host: `${world.host(PORTS.public)}:${world.port}`,
    'X-Mine': 'a',
    authorization: 'Bearer of the program',
    'Content-Length': '5',
    'X-Forwarded-For': '127.0.0.1',
    'X-Forwarded-Proto': 'http',
    'X-Forwarded-Host': `${world.host(PORTS.public)}:${world.port}`,
  })
  expect(Object.keys(headers)).not.toContain('te')
  expect(Object.keys(headers)).not.toContain('x-hop')
})

test('what a client says of itself is dropped', async () => {
  const { json } = await world.ask('/', {
    headers: {
      'x-forwarded-for': '6.6.6.6',
      X_Forwarded_For: '6.6.6.6',
      'x-forwarded-proto': 'https',
      forwarded: 'for=6.6.6.6',
      'x-real-ip': '6.6.6.6',
      proxy: 'http://6.6.6.6',
      'caisson-port-token': 'x',
    },
  })
  expect(JSON.stringify(json.headers)).not.toContain('6.6.6.6')
  expect(json.headers.filter(([name]: string[]) => /caisson/i.test(name as string))).toEqual([])
  expect(Object.fromEntries(json.headers)['X-Forwarded-Proto']).toBe('http')
})

test.each([
  ['a program at [::1]', PORTS.ipv6, '::1'],
  ['a program at all addresses', PORTS.any, '0.0.0.0'],
])('%s is reached', async (_, port, address) => {
  await world.listen(address, port)
  expect((await world.ask('/', { to: port })).status).toBe(200)
})

test('the network is off, and the host name may be written in other ways', async () => {
  expect(world.sandbox.info.network.mode).toBe('none')
  const name = world.host(PORTS.public)
  for (const host of [name.toUpperCase(), `${name}.`, `${name}.:80`, name])
    expect((await world.ask('/', { to: null, headers: { host } })).status).toBe(200)
})

test('bodies of 200 MiB pass whole, down and up, chunked or not', async () => {
  const count = 200
  const expected = digestOfBlocks(count)
  const hash = createHash('sha256')
  for await (const data of await world.open(`/blocks?mib=${count}`)) hash.update(data)
  expect(hash.digest('hex')).toBe(expected)
  const source = async function* () {
    for (let i = 0; i < count; i++) yield BLOCK
  }
  for (const headers of [{}, { 'content-length': count * MIB }]) {
    const { json } = await world.ask('/', { method: 'POST', body: source(), headers })
    expect(json.body).toEqual({ size: count * MIB, sha256: expected })
  }
})

test('a reader that does not read holds the program back', async () => {
  const sent = async () => (await world.ask('/log')).json.sent as number
  const before = await sent()
  const answer = await world.open('/blocks?mib=256')
  let last = -1
  await until(async () => {
    const now = await sent()
    const same = now === last
    last = now
    return same
  })
  expect(last - before).toBeLessThan(64)
  answer.destroy()
})

test('events come as they are sent', async () => {
  const answer = await world.open('/events')
  expect(answer.headers['content-type']).toBe('text/event-stream')
  const seen: string[] = []
  for await (const data of answer) {
    seen.push(data.toString().trim())
    await world.ask('/next')
  }
  expect(seen).toEqual(['data: 0', 'data: 1', 'data: 2'])
})

test('a head comes before its body is there', async () => {
  const answer = await world.open('/headers-first')
  expect(answer.headers['content-length']).toBe('2')
  await world.ask('/next')
  expect((await answer.toArray()).join('')).toBe('ok')
})

test('answers without a body, and HEAD, keep their heads', async () => {
  const head = await world.ask('/', { method: 'HEAD' })
  expect([head.status, head.body.length]).toEqual([200, 0])
  expect(Number(head.headers['content-length'])).toBeGreaterThan(100)
  for (const line of ['204 None', '304 Same']) {
    const { status, body } = await world.ask(`/status?line=${encodeURIComponent(line)}`)
    expect([status, body.length]).toEqual([Number(line.slice(0, 3)), 0])
  }
})

test('trailers pass both ways', async () => {
  const { raw, text } = await world.ask('/trailers')
  expect([text, raw.trailers]).toEqual(['body', { 'x-sum': '7' }])
  const sent = request({
    host: '127.0.0.1',
    port: world.port,
    method: 'POST',
    headers: { host: world.host(PORTS.public), trailer: 'X-Sum', 'transfer-encoding': 'chunked' },
  })
  sent.write('body')
  sent.addTrailers({ 'X-Sum': '7', 'X-Forwarded-For': '6.6.6.6' })
  sent.end()
  const [answer] = await once(sent, 'response')
  expect(JSON.parse((await answer.toArray()).join('')).trailers).toEqual(['X-Sum: 7'])
})

test('a client that asks whether it may send is told so', async () => {
  const asking = request({
    host: '127.0.0.1',
    port: world.port,
    method: 'POST',
    headers: { host: world.host(PORTS.public), expect: '100-continue', 'content-length': 2 },
  })
  asking.flushHeaders()
  await once(asking, 'continue')
  asking.end('ok')
  const [answer] = await once(asking, 'response')
  expect(JSON.parse((await answer.toArray()).join('')).body.size).toBe(2)
})

test('an early answer reaches a client that still sends', async () => {
  const { status } = await world.ask('/early', { method: 'POST', body: Buffer.alloc(64 * 1024) })
  expect(status).toBe(413)
})

test.each(['/cut', '/cut?chunked', '/cut?reset', '/cut?chunked&reset'])(
  'an answer that breaks off is broken off: %s',
  async (path) => {
    expect(await world.ask(path)).toMatchObject({ status: 200, broken: true })
  },
)

test('an answer that ends with its connection is whole', async () => {
  expect(await world.ask('/unframed')).toMatchObject({ text: 'until the end', broken: false })
})

test('connections to the program are kept, and a dead one is no failure', async () => {
  const connections = async () => (await world.ask('/log')).json.connections as number
  const before = await connections()
  for (let i = 0; i < 5; i++) await world.ask('/')
  expect(await connections()).toBe(before)
  for (let i = 0; i < 20; i++) expect((await world.ask('/close-quietly')).status).toBe(200)
})

test('cookies of a program are its host’s alone', async () => {
  const { headers } = await world.ask('/cookies')
  expect(headers['set-cookie']).toEqual(['a=1', 'wide=1; Path=/; HttpOnly'])
})

test('many at once', async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => world.ask(`/${i}`)))
  expect(answers.map(({ json }) => json.target)).toEqual(answers.map((_, i) => `/${i}`))
})

test('more than a sandbox may have at once are refused, and then served again', async () => {
  const held = await Promise.all(
    Array.from({ length: 128 }, () => {
      const asking = request({ host: '127.0.0.1', port: world.port, path: '/hang', agent: false })
      asking.setHeader('host', world.host(PORTS.public))
      asking.on('error', () => {}).end()
      return asking
    }),
  )
  await until(async () => (await world.ask('/')).status === 429)
  const refused = await world.ask('/')
  expect([refused.json.error.code, refused.headers['retry-after']]).toEqual(['too_many', '1'])
  for (const asking of held) asking.destroy()
  await until(async () => (await world.ask('/')).status === 200)
})
