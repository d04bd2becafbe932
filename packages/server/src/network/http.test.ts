import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTcp, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import {
  EgressWorld,
  echoServer,
  type FakeRules,
  type FakeSubject,
  NEIGHBOUR,
  readAll,
  SANDBOX,
} from './egress.test-kit.ts'
import type { EgressOptions } from './index.ts'

type Handler = (req: IncomingMessage, res: ServerResponse) => void

const names = ['good.test', 'other.test', 'xn--bcher-kva.test']

/** A world in which good.test is allowed, and one server stands behind every name. */
async function open(
  handler: Handler = (req, res) => res.end(`${req.headers.host} ${req.url}`),
  rules: FakeRules = { names },
  options: Partial<EgressOptions> = {},
): Promise<{ world: EgressWorld; subject: FakeSubject; seen: string[]; server: Server }> {
  const world = await EgressWorld.open(options)
  const subject = world.subject(rules)
  const seen: string[] = []
  const server = createServer({ requireHostHeader: false }, (req, res) => {
    seen.push(`${req.method} ${req.headers.host} ${req.url}`)
    handler(req, res)
  })
  await world.serve(80, server)
  for (const name of [...names, 'evil.test']) world.names.set(name, ['127.0.0.1'])
  return { world, subject, seen, server }
}

/** Sends bytes and reads until the end; a request that does not ask for it keeps no connection open here. */
async function raw(world: EgressWorld, ...texts: string[]): Promise<string> {
  const socket = await world.connect('http')
  const all = readAll(socket)
  for (const text of texts) {
    socket.write(text, 'latin1')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return (await all).text
}

const get = (host: string, path = '/', more = '') =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`

function ask(world: EgressWorld, options: object = {}) {
  return request({
    port: world.port('http'),
    localAddress: SANDBOX,
    headers: { host: 'good.test' },
    ...options,
  })
}

async function bodyOf(res: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of res) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

test('a name that is allowed is reached, and its request and answer pass as they are', async () => {
  let got: string[] = []
  const { world, subject } = await open((req, res) => {
    got = req.rawHeaders
    res.sendDate = false
    res.writeHead(207, 'As It Is', ['X-One', 'a', 'x-One', 'b', 'Set-Cookie', 'c=1', 'Content-Length', '2'])
    res.end('ok')
  })
  await using _ = world
  const answer = await raw(world, get('good.test', '/a?b=%20#c', 'X-Twice: 1\r\nx-twice: 2\r\n'))
  expect(got).toEqual(['Host', 'good.test', 'X-Twice', '1', 'x-twice', '2', 'Connection', 'keep-alive'])
  expect(answer).toBe(
    'HTTP/1.1 207 As It Is\r\nX-One: a\r\nx-One: b\r\nSet-Cookie: c=1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok',
  )
  await expect.poll(() => subject.seen.length).toBe(2)
  expect(subject.seen[0]).toMatchObject({ verdict: 'allowed', protocol: 'http', name: 'good.test', port: 80 })
  expect(subject.seen[1]!.bytes!.up).toBeGreaterThan(50)
})

test('a refused request is answered with the reason, and the connection ends', async () => {
  const { world, subject, seen } = await open()
  await using _ = world
  const answer = await raw(world, 'POST / HTTP/1.1\r\nHost: evil.test\r\nContent-Length: 5\r\n\r\nhello')
  expect(answer).toMatch(/^HTTP\/1.1 403 Forbidden\r\n/)
  expect(answer).toMatch(/\r\ncaisson-refused: default deny\r\n/)
  expect(answer).toMatch(/default deny, says the test\.\n$/)
  expect(seen).toEqual([])
  expect(subject.seen).toHaveLength(1)
  expect(subject.seen[0]).toMatchObject({ verdict: 'refused', protocol: 'http', name: 'evil.test', port: 80 })
  expect(subject.seen[0]!.source!.port).toBeGreaterThan(0)
})

test('who uploads much to a name that is refused still reads why', async () => {
  const { world } = await open()
  await using _ = world
  const req = ask(world, { method: 'POST', headers: { host: 'evil.test' } })
  req.on('error', () => {})
  req.end(Buffer.alloc(8 * 1024 * 1024))
  const [res] = await once(req, 'response')
  expect(res.statusCode).toBe(403)
  expect(await bodyOf(res)).toMatch(/says the test/)
})

test('every request of a connection is judged by its own host, pipelined or not', async () => {
  const { world, subject, seen } = await open()
  await using _ = world
  const keep = (host: string) => `GET /${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`
  const answer = await raw(
    world,
    keep('good.test') + keep('other.test') + keep('evil.test') + keep('good.test'),
  )
  expect(answer.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 403'])
  expect(seen).toEqual(['GET good.test /good.test', 'GET other.test /other.test'])
  seen.length = 0
  await raw(world, keep('good.test'), keep('good.test'), keep('evil.test'))
  expect(seen).toEqual(['GET good.test /good.test', 'GET good.test /good.test'])
  expect(subject.refusals()).toEqual(['default deny', 'default deny'])
})

test('requests for one name share a connection to its server, and those of two connections do not', async () => {
  let connections = 0
  const { world, server } = await open()
  await using _ = world
  server.on('connection', () => connections++)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  for (let n = 0; n < 3; n++) {
    const req = ask(world, { agent })
    req.end()
    expect(await bodyOf((await once(req, 'response'))[0])).toBe('good.test /')
  }
  expect(connections).toBe(1)
  await raw(world, get('good.test'))
  expect(connections).toBe(2)
  agent.destroy()
})

test('a connection that the server closed meanwhile is made again', async () => {
  const { world, server } = await open()
  await using _ = world
  const upstream: Socket[] = []
  server.on('connection', (socket) => upstream.push(socket))
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  for (let n = 0; n < 3; n++) {
    const req = ask(world, { agent })
    req.end()
    expect(await bodyOf((await once(req, 'response'))[0])).toBe('good.test /')
    upstream.at(-1)!.destroy()
  }
  expect(upstream).toHaveLength(3)
  agent.destroy()
})

test.each<[string, string]>([
  ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
  ['two Hosts', 'GET / HTTP/1.1\r\nHost: good.test\r\nHost: evil.test\r\n\r\n'],
  ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n'],
  ['a Host with a space', 'GET / HTTP/1.1\r\nHost: good.test evil.test\r\n\r\n'],
  ['a Host with a tab', 'GET / HTTP/1.1\r\nHost: good.test\tevil.test\r\n\r\n'],
  ['a Host with NUL', 'GET / HTTP/1.1\r\nHost: evil.test\0.good.test\r\n\r\n'],
  ['a Host with a user', 'GET / HTTP/1.1\r\nHost: good.test@evil.test\r\n\r\n'],
  ['a Host list', 'GET / HTTP/1.1\r\nHost: good.test,evil.test\r\n\r\n'],
  ['a Host with a percent sign', 'GET / HTTP/1.1\r\nHost: evil.test%00.good.test\r\n\r\n'],
  ['a Host in raw UTF-8', 'GET / HTTP/1.1\r\nHost: b\xc3\xbccher.test\r\n\r\n'],
  ['a Host without its port', 'GET / HTTP/1.1\r\nHost: good.test:\r\n\r\n'],
  ['a decimal address', 'GET / HTTP/1.1\r\nHost: 2130706433\r\n\r\n'],
  ['a short address', 'GET / HTTP/1.1\r\nHost: 127.1\r\n\r\n'],
  ['an octal address', 'GET / HTTP/1.1\r\nHost: 0177.0.0.1\r\n\r\n'],
  ['a hexadecimal address', 'GET / HTTP/1.1\r\nHost: 0x7f000001\r\n\r\n'],
  ['an address with a zone', 'GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n'],
  ['IPv4 in brackets', 'GET / HTTP/1.1\r\nHost: [127.0.0.1]\r\n\r\n'],
  ['another URL than Host', 'GET http://evil.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n'],
  ['a URL with a user', 'GET http://good.test@evil.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n'],
  ['an https URL', 'GET https://good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n'],
  ['a path without a slash', 'GET good.test HTTP/1.1\r\nHost: good.test\r\n\r\n'],
  [
    'Content-Length and Transfer-Encoding',
    'POST / HTTP/1.1\r\nHost: good.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  [
    'Transfer-Encoding and Content-Length',
    'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n',
  ],
  [
    'two Content-Lengths',
    'POST / HTTP/1.1\r\nHost: good.test\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde',
  ],
  ['a list of Content-Lengths', 'POST / HTTP/1.1\r\nHost: good.test\r\nContent-Length: 4, 4\r\n\r\nabcd'],
  ['a signed Content-Length', 'POST / HTTP/1.1\r\nHost: good.test\r\nContent-Length: +4\r\n\r\nabcd'],
  ['a hexadecimal Content-Length', 'POST / HTTP/1.1\r\nHost: good.test\r\nContent-Length: 0x4\r\n\r\nabcd'],
  ['an unknown coding', 'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
  [
    'a coding after chunked',
    'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
  ],
  [
    'a coding before chunked',
    'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
  ],
  [
    'two codings',
    'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n',
  ],
  [
    'a coding with a vertical tab',
    'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n',
  ],
  [
    'a coding in quotes',
    'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
  ],
  [
    'a space before the colon',
    'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
  ],
  ['a folded header', 'GET / HTTP/1.1\r\nHost: good.test\r\nX: a\r\n b\r\n\r\n'],
  ['a folded Host', 'GET / HTTP/1.1\r\nHost:\r\n good.test\r\n\r\n'],
  ['bare LF', 'GET / HTTP/1.1\nHost: good.test\n\n'],
  ['a bare LF in the head', 'GET / HTTP/1.1\r\nHost: good.test\nHost: evil.test\r\n\r\n'],
  ['a bare CR in the head', 'GET / HTTP/1.1\r\nHost: good.test\r\nX: a\rHost: evil.test\r\n\r\n'],
  [
    'a chunk size with 0x',
    'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n',
  ],
  [
    'a chunk size with a sign',
    'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n',
  ],
  [
    'a chunk size with a space',
    'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n',
  ],
  [
    'a chunk that ends in LF',
    'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n',
  ],
  [
    'a chunk extension with LF',
    'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n3;a\nabc\r\n0\r\n\r\n',
  ],
  [
    'a chunk size beyond 64 bits',
    'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n',
  ],
  ['chunks in HTTP/1.0', 'POST / HTTP/1.0\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['a space in the path', 'GET /a b HTTP/1.1\r\nHost: good.test\r\n\r\n'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['HTTP/0.9', 'GET /\r\n\r\n'],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
])('%s is refused with 400, and nothing goes on', async (_, bytes) => {
  const { world, subject, seen } = await open()
  await using _world = world
  const answer = await raw(world, bytes)
  expect(answer).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/)
  expect(answer.match(/^HTTP\/1/gm)).toHaveLength(1)
  expect(seen).toEqual([])
  expect(subject.refusals()).toEqual(['malformed request'])
})

test('what is hidden in a body stays in it', async () => {
  const { world, seen } = await open((req, res) => void bodyOf(req).then((body) => res.end(`<${body}>`)))
  await using _ = world
  const smuggled = 'GET /secret HTTP/1.1\r\nHost: evil.test\r\n\r\n'
  const chunked = `POST / HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\nTransfer-Encoding: CHUNKED\r\n\r\n${smuggled.length.toString(16)};x=1\r\n${smuggled}\r\n0\r\n\r\n`
  expect(await raw(world, chunked)).toContain(`<${smuggled}>`)
  const counted = `GET / HTTP/1.1\r\nHost: good.test\r\nConnection: close, content-length, host\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`
  expect(await raw(world, counted)).toContain(`<${smuggled}>`)
  const filler = Array.from({ length: 2500 }, (_, n) => `${n}:\r\n`).join('')
  const late = `GET / HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n${filler}Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`
  expect(await raw(world, late)).toMatch(/HTTP\/1.1 (200|431)/)
  expect(seen.filter((line) => line !== 'POST good.test /' && line !== 'GET good.test /')).toEqual([])
})

test.each<[string, string]>([
  ['upper case', 'GOOD.Test'],
  ['a trailing dot', 'good.test.'],
  ['port 80', 'good.test:80'],
  ['a name in another script, as DNS has it', 'xn--bcher-kva.test'],
])('%s is the same name', async (_, host) => {
  const { world, seen } = await open()
  await using _world = world
  expect(await raw(world, get(host))).toMatch(/^HTTP\/1.1 200/)
  expect(seen).toEqual([`GET ${host} /`])
})

test('another port than 80 in Host is refused', async () => {
  const { world, seen } = await open()
  await using _ = world
  expect(await raw(world, get('good.test:8080'))).toMatch(
    /^HTTP\/1.1 403 .*caisson-refused: HTTP to another port/s,
  )
  expect(seen).toEqual([])
})

test('an address as Host is judged as an address', async () => {
  const { world, seen, subject } = await open(undefined, { names: [], addresses: ['127.0.0.1'] })
  await using _ = world
  expect(await raw(world, get('127.0.0.1'))).toMatch(/^HTTP\/1.1 200/)
  expect(await raw(world, get('[::ffff:127.0.0.1]'))).toMatch(/^HTTP\/1.1 200/)
  expect(await raw(world, get('169.254.169.254'))).toMatch(/^HTTP\/1.1 403/)
  expect(await raw(world, get('[fd00:ec2::254]'))).toMatch(/^HTTP\/1.1 403/)
  expect(seen).toHaveLength(2)
  expect(subject.seen.at(-1)).toMatchObject({ name: null, address: 'fd00:ec2::254' })
})

test('a name that leads to a refused address is refused', async () => {
  const { world, subject, seen } = await open(undefined, { names, deny: ['127.0.0.1'] })
  await using _ = world
  expect(await raw(world, get('good.test'))).toMatch(/^HTTP\/1.1 403 .*caisson-refused: private address/s)
  expect(subject.seen[0]).toMatchObject({ name: 'good.test', address: '127.0.0.1' })
  expect(seen).toEqual([])
})

test('a request as for a proxy passes when URL and Host agree', async () => {
  const { world, seen } = await open()
  await using _ = world
  await raw(world, get('good.test', 'http://good.test/a?b'))
  await raw(world, get('good.test', 'HTTP://GOOD.test?b'))
  await raw(world, 'OPTIONS * HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n')
  expect(seen).toEqual(['GET good.test /a?b', 'GET good.test /?b', 'OPTIONS good.test *'])
})

test('CONNECT is refused and says why', async () => {
  const { world, subject } = await open()
  await using _ = world
  const answer = await raw(world, 'CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n')
  expect(answer).toMatch(/^HTTP\/1.1 405 .*this is no proxy/s)
  expect(subject.refusals()).toEqual(['no proxy'])
})

test('an address outside every sandbox gets nothing', async () => {
  const { world, seen } = await open()
  await using _ = world
  const socket = await world.connect('http', NEIGHBOUR)
  socket.write(get('good.test'))
  expect((await readAll(socket)).text).toBe('')
  expect(seen).toEqual([])
})

test('nobody there is told as 502, and is no refusal', async () => {
  const { world, subject } = await open()
  await using _ = world
  world.names.delete('good.test')
  expect(await raw(world, get('good.test'))).toMatch(/^HTTP\/1.1 502 .*no address/s)
  world.upstreamPorts.set(80, 1)
  expect(await raw(world, get('other.test'))).toMatch(
    /^HTTP\/1.1 502 .*other.test could not be reached.*ECONNREFUSED/s,
  )
  expect(subject.refusals()).toEqual([])
})

test('an answer that is none is told as 502', async () => {
  const { world } = await open()
  await using _ = world
  const answers = [
    'nonsense\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    '',
  ]
  for (const answer of answers) {
    await world.serve(
      80,
      createTcp((socket) => socket.once('data', () => socket.end(answer))),
    )
    expect(await raw(world, get('good.test'))).toMatch(/^HTTP\/1.1 502 .*did not answer/s)
  }
})

test('an answer that stops in the middle is seen to', async () => {
  const { world } = await open((_, res) => {
    res.writeHead(200, { 'content-length': 100 })
    res.write('half', () => res.destroy())
  })
  await using _ = world
  const socket = await world.connect('http')
  socket.write(get('good.test'))
  const { text, error } = await readAll(socket)
  expect(text.endsWith('half') || text === '').toBe(true)
  expect(error).toBe('ECONNRESET')
})

test('big bodies go both ways, counted and chunked, unchanged', async () => {
  const { world } = await open((req, res) => req.pipe(res))
  await using _ = world
  const body = randomBytes(20 * 1024 * 1024)
  const expected = createHash('sha256').update(body).digest('hex')
  for (const headers of [{ 'content-length': body.length }, { 'transfer-encoding': 'chunked' }]) {
    const req = ask(world, { method: 'PUT', headers: { host: 'good.test', ...headers } })
    req.end(body)
    const [res] = await once(req, 'response')
    const hash = createHash('sha256')
    for await (const chunk of res) hash.update(chunk)
    expect(hash.digest('hex')).toBe(expected)
  }
})

test('an answer comes as it is made, before its end', async () => {
  let finish = () => {}
  const { world } = await open((_, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' })
    res.flushHeaders()
    finish = () => {
      res.write('data: 1\n\n')
      finish = () => res.end('data: 2\n\n')
    }
  })
  await using _ = world
  const req = ask(world)
  req.end()
  const [res] = await once(req, 'response')
  const first = once(res, 'data')
  finish()
  expect(String((await first)[0])).toBe('data: 1\n\n')
  finish()
  expect(await bodyOf(res)).toBe('data: 2\n\n')
})

test('Expect: 100-continue is the server’s to answer', async () => {
  const { world, server, seen } = await open()
  await using _ = world
  server.on('checkContinue', (req, res) => {
    if (req.url === '/no') return void res.writeHead(417).end()
    res.writeContinue()
    void bodyOf(req).then((body) => res.end(`got ${body}`))
  })
  const headers = { host: 'good.test', expect: '100-continue' }
  const yes = ask(world, { method: 'POST', headers })
  yes.flushHeaders()
  await once(yes, 'continue')
  yes.end('body')
  expect(await bodyOf((await once(yes, 'response'))[0])).toBe('got body')
  const no = ask(world, { method: 'POST', headers, path: '/no' })
  no.flushHeaders()
  expect((await once(no, 'response'))[0].statusCode).toBe(417)
  no.destroy()
  const refused = ask(world, { method: 'POST', headers: { ...headers, host: 'evil.test' } })
  refused.on('continue', () => expect.unreachable())
  refused.flushHeaders()
  expect((await once(refused, 'response'))[0].statusCode).toBe(403)
  refused.destroy()
  expect(seen).toEqual([])
})

test('trailers, early hints, HEAD and bodiless answers pass', async () => {
  const { world } = await open((req, res) => {
    if (req.method === 'HEAD') return res.writeHead(200, { 'content-length': 1234 }).end()
    if (req.url === '/304') return res.writeHead(304, { etag: '"a"' }).end()
    res.writeEarlyHints({ link: '</style.css>; rel=preload' })
    void bodyOf(req).then(() => {
      res.writeHead(200, { trailer: 'x-sum' })
      res.write('body')
      res.addTrailers({ 'x-sum': `after ${req.trailers['x-up']}` })
      res.end()
    })
  })
  await using _ = world
  const chunked = 'Transfer-Encoding: chunked\r\n'
  const answer = await raw(
    world,
    `POST / HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n${chunked}\r\n1\r\na\r\n0\r\nX-Up: 7\r\nHost: evil.test\r\n\r\n`,
  )
  expect(answer).toMatch(
    /^HTTP\/1.1 103 Early Hints\r\nlink: <\/style.css>; rel=preload\r\n\r\nHTTP\/1.1 200 OK/i,
  )
  expect(answer).toMatch(/4\r\nbody\r\n0\r\nx-sum: after 7\r\n\r\n$/)
  const head = await raw(world, get('good.test').replace('GET', 'HEAD'))
  expect(head).toMatch(/^HTTP\/1.1 200 OK\r\ncontent-length: 1234\r\n[\s\S]*\r\n\r\n$/i)
  expect(await raw(world, get('good.test', '/304'))).toMatch(
    /^HTTP\/1.1 304 Not Modified\r\netag: "a"\r\n[\s\S]*\r\n\r\n$/i,
  )
})

test('a server that announces without end is not heard without end', async () => {
  const { world } = await open((_, res) => {
    for (let n = 0; n < 1000; n++) res.writeEarlyHints({ link: '</style.css>; rel=preload' })
    res.end('at last')
  })
  await using _ = world
  const answer = await raw(world, get('good.test'))
  expect(answer.match(/103 Early Hints/g)).toHaveLength(16)
  expect(answer).toMatch(/at last/)
})

test('HTTP/1.0 is answered as it wants', async () => {
  const { world } = await open((_, res) => {
    res.write('one ')
    res.end('two')
  })
  await using _ = world
  const answer = await raw(world, 'GET / HTTP/1.0\r\nHost: good.test\r\n\r\n')
  expect(answer).not.toMatch(/chunked/i)
  expect(answer).toMatch(/\r\n\r\none two$/)
})

test('what is about one connection does not pass to the next', async () => {
  let got: Record<string, unknown> = {}
  const { world } = await open((req, res) => {
    got = req.headers
    res.writeHead(200, { connection: 'x-hop', 'x-hop': '1', 'x-end': '2', upgrade: 'h2c' }).end()
  })
  await using _ = world
  const hops =
    'X-Mine: 1\r\nTE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\n'
  const answer = await raw(
    world,
    `GET / HTTP/1.1\r\nHost: good.test\r\n${hops}Connection: close, X-Mine, Upgrade, HTTP2-Settings, host\r\n\r\n`,
  )
  expect(got).toEqual({ host: 'good.test', connection: 'keep-alive' })
  expect(answer).toMatch(/x-end: 2/)
  expect(answer).not.toMatch(/x-hop|h2c/)
})

test('a redirect passes, and where it leads is judged when it is asked for', async () => {
  const { world } = await open(
    (_, res) => void res.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
  )
  await using _ = world
  expect(await raw(world, get('good.test'))).toMatch(
    /302 Found[\s\S]*location: http:\/\/169\.254\.169\.254\//,
  )
  expect(await raw(world, get('169.254.169.254'))).toMatch(/^HTTP\/1.1 403/)
})

test('a WebSocket is judged, and then both ends speak freely', async () => {
  const { world, subject, server } = await open()
  await using _ = world
  const asked: string[] = []
  server.on('upgrade', (req, socket, head) => {
    asked.push(`${req.headers.host} ${req.headers['sec-websocket-key']} ${req.headers.upgrade}`)
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: b\r\n\r\nfirst ',
    )
    socket.write(head)
    socket.pipe(socket)
  })
  const hello = (host: string) =>
    `GET /ws HTTP/1.1\r\nHost: ${host}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n`
  const socket = await world.connect('http')
  const all = readAll(socket)
  socket.write(`${hello('good.test')}early `)
  await expect.poll(() => socket.bytesRead).toBeGreaterThan(96)
  socket.end('late')
  const { text, error } = await all
  expect(error).toBe(null)
  expect(text).toMatch(
    /^HTTP\/1.1 101 Switching Protocols\r\nX-A: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst early late$/,
  )
  expect(await raw(world, hello('evil.test'))).toMatch(/^HTTP\/1.1 403 .*says the test/s)
  expect(asked).toEqual(['good.test k websocket'])
  expect(subject.refusals()).toEqual(['default deny'])
  await expect.poll(() => world.egress.size).toBe(0)
})

test('a WebSocket that the server does not want gets the server’s answer', async () => {
  const { world } = await open((_, res) => void res.writeHead(401).end('no'))
  await using _ = world
  const answer = await raw(
    world,
    'GET /ws HTTP/1.1\r\nHost: good.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n',
  )
  expect(answer).toMatch(/^HTTP\/1.1 401 Unauthorized\r\n/)
  expect(answer.match(/^HTTP\/1/gm)).toHaveLength(1)
})

test('a WebSocket may follow a request on one connection; nothing may follow it', async () => {
  const { world, server, seen } = await open((_, res) => setTimeout(() => res.end('slow'), 50))
  await using _ = world
  server.on('upgrade', (_req, socket) => {
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello')
  })
  const keep = 'GET /a HTTP/1.1\r\nHost: good.test\r\n\r\n'
  const wish = 'GET /ws HTTP/1.1\r\nHost: good.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
  const answer = await raw(world, keep + wish)
  expect(answer).toMatch(
    /^HTTP\/1.1 200 OK[\s\S]*slowHTTP\/1.1 101 [\s\S]*\r\n\r\nhello$|^HTTP\/1.1 200[\s\S]*4\r\nslow\r\n0\r\n\r\nHTTP\/1.1 101 [\s\S]*hello$/,
  )
  expect(seen).toEqual(['GET good.test /a'])
})

test.each(['websocket, h2c', 'h2c'])('an upgrade to %s is not passed on', async (wish) => {
  const { world, server, seen } = await open()
  await using _ = world
  server.on('upgrade', (_req, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'))
  const answer = await raw(
    world,
    `GET / HTTP/1.1\r\nHost: good.test\r\nConnection: Upgrade, close\r\nUpgrade: ${wish}\r\n\r\n`,
  )
  expect(answer).toMatch(/^HTTP\/1.1 200/)
  expect(seen).toEqual(['GET good.test /'])
})

test('a server that agrees to more than a WebSocket is cut off', async () => {
  const { world, server } = await open()
  await using _ = world
  server.on('upgrade', (_req, socket) =>
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'),
  )
  const wish = 'GET /ws HTTP/1.1\r\nHost: good.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
  expect(await raw(world, wish)).toMatch(/^HTTP\/1.1 502 /)
})

test('a head that comes too slowly is given up', async () => {
  const { world, subject, seen } = await open(undefined, undefined, { helloMs: 200 })
  await using _ = world
  const socket = await world.connect('http')
  const all = readAll(socket)
  const timer = setInterval(() => socket.write('X'), 20)
  socket.write('GET / HTTP/1.1\r\nHost: good.test\r\n')
  expect((await all).text).toMatch(/^HTTP\/1.1 408/)
  clearInterval(timer)
  expect(seen).toEqual([])
  expect(subject.seen).toEqual([])
})

test('requests beyond a number are not hoarded', async () => {
  const { world, subject } = await open()
  await using _ = world
  const socket = await world.connect('http')
  const all = readAll(socket)
  socket.write('GET / HTTP/1.1\r\nHost: good.test\r\n\r\n'.repeat(1500))
  expect((await all).error).toBe('ECONNRESET')
  expect(subject.refusals()).toEqual(['pipelining limit'])
})

test('a head that is too big is refused', async () => {
  const { world, seen } = await open()
  await using _ = world
  expect(await raw(world, get('good.test', '/', `X: ${'a'.repeat(40_000)}\r\n`))).toMatch(/^HTTP\/1.1 431/)
  expect(seen).toEqual([])
})

test('a change of the rules resets what is allowed no more', async () => {
  let answer: ServerResponse | null = null
  const { world, subject } = await open((_, res) => {
    res.write('begin ')
    answer = res
  })
  await using _ = world
  const socket = await world.connect('http')
  const all = readAll(socket)
  socket.write(get('good.test'))
  await expect.poll(() => socket.bytesRead).toBeGreaterThan(0)
  subject.policy = world.subject({ names: [] }).policy
  world.subjects.set(SANDBOX, subject)
  world.egress.cut(subject.id)
  expect((await all).error).toBe('ECONNRESET')
  expect(subject.refusals()).toEqual(['default deny'])
  await expect.poll(() => answer!.destroyed).toBe(true)
})

test('a client that goes takes its connection to the server with it', async () => {
  let closed = 0
  const { world, server } = await open(() => {})
  await using _ = world
  server.on('connection', (socket) => socket.on('close', () => closed++))
  const req = ask(world, { method: 'POST' })
  req.on('error', () => {})
  req.write('a')
  await once(server, 'request')
  req.destroy()
  await expect.poll(() => closed).toBe(1)
  await expect.poll(() => world.egress.size).toBe(0)
})

test('a server that answers early and goes ends the upload', async () => {
  const { world } = await open()
  await using _ = world
  await world.serve(
    80,
    createTcp((socket) => {
      socket.on('error', () => {})
      socket.once('data', () =>
        socket.end('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno'),
      )
    }),
  )
  const req = ask(world, { method: 'POST' })
  req.on('error', () => {})
  const closed = once(req, 'close')
  const timer = setInterval(() => req.write(Buffer.alloc(65_536)), 5)
  const [res] = await once(req, 'response')
  expect(res.statusCode).toBe(413)
  res.resume()
  await closed
  clearInterval(timer)
})

test('200 requests at once', async () => {
  const { world, seen } = await open((req, res) => req.pipe(res))
  await using _ = world
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, n) => {
      const req = ask(world, { method: 'POST', agent: false })
      req.end(`${n}`)
      return await bodyOf((await once(req, 'response'))[0])
    }),
  )
  expect(answers).toEqual(Array.from({ length: 200 }, (_, n) => `${n}`))
  expect(seen).toHaveLength(200)
  await expect.poll(() => world.egress.size).toBe(0)
})

test('closing ends everything, open requests too', async () => {
  const { world } = await open(() => {})
  await using _ = world
  const waiting = await world.connect('http')
  const all = readAll(waiting)
  waiting.write(get('good.test'))
  const idle = readAll(await world.connect('http'))
  await expect.poll(() => world.egress.size).toBe(2)
  await world.egress.close()
  expect((await all).error).toBe('ECONNRESET')
  expect((await idle).error).toBe('ECONNRESET')
  expect(world.egress.size).toBe(0)
  await world.serve(81, echoServer())
})

test('a body that goes wrong later is not completed for the server', async () => {
  const bodies: string[] = []
  const { world, server } = await open((req) => req.on('data', (chunk) => bodies.push(String(chunk))))
  await using _ = world
  const ended = new Promise((resolve) =>
    server.on('request', (req) => req.on('error', () => {}).on('close', () => resolve(req.complete))),
  )
  const head = 'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'
  const socket = await world.connect('http')
  const all = readAll(socket)
  socket.write(head)
  await expect.poll(() => bodies).toEqual(['abc'])
  socket.write('0x0\r\n\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n')
  expect((await all).text).toMatch(/^HTTP\/1.1 400 /)
  expect(await ended).toBe(false)
})

test('random changes to requests never reach a server under another name, and never stop the door', async () => {
  const { world, seen } = await open(
    (req, res) =>
      void bodyOf(req).then(
        () => res.end('ok'),
        () => {},
      ),
  )
  await using _ = world
  let state = 7
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const seeds = [
    'GET / HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n2e\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\naaaaaaaaaaa\r\n0\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: good.test\r\nContent-Length: 37\r\n\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\nabc',
    'GET /ws HTTP/1.1\r\nHost: good.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n',
  ]
  const odd = [
    '\r',
    '\n',
    '\0',
    ' ',
    '\t',
    ':',
    ',',
    '0',
    '\x0b',
    '\xff',
    'chunked',
    'Host: evil.test\r\n',
    '\r\n\r\n',
  ]
  const mutated = () => {
    let text = seeds[random(seeds.length)]!
    for (let changes = 1 + random(3); changes > 0; changes--) {
      const at = random(text.length)
      const piece = random(2) === 0 ? odd[random(odd.length)]! : ''
      text = text.slice(0, at) + piece + text.slice(at + random(3))
    }
    return text
  }
  const attempt = async () => {
    const socket = await world.connect('http')
    const all = readAll(socket)
    socket.write(mutated(), 'latin1')
    await Promise.race([all, new Promise((resolve) => setTimeout(resolve, 50))])
    socket.destroy()
  }
  for (let n = 0; n < 20; n++) await Promise.all(Array.from({ length: 25 }, attempt))
  expect(seen.length).toBeGreaterThan(0)
  expect(seen.filter((line) => !/^\S+ good\.test\.?(:80)? /i.test(line))).toEqual([])
  expect(await raw(world, get('good.test'))).toMatch(/^HTTP\/1.1 200/)
})
