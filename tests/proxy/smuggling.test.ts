import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PORTS, PortWorld } from './world.ts'

let world: PortWorld
beforeAll(async () => {
  world = await PortWorld.make()
})
afterAll(() => world?.[Symbol.asyncDispose]())

const HIDDEN = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'

/** A request to the public port, of its lines; what the client got, and the heads that reached the program. */
async function send(
  lines: string[],
  rest = '',
  method = 'POST',
): Promise<{ answer: string; heads: string[] }> {
  await world.heads()
  const head = [`${method} /outer HTTP/1.1`, `Host: ${world.host(PORTS.public)}`, ...lines].join('\r\n')
  const answer = await world.raw(`${head}\r\n\r\n${rest}`)
  return { answer, heads: await world.heads() }
}

/** Refused, and nothing of it reached the program. */
async function expectRefused(lines: string[], rest = '', method = 'POST'): Promise<void> {
  const { answer, heads } = await send(lines, rest, method)
  expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /)
  expect(heads.join('')).not.toContain('smuggled')
  expect(heads).toEqual([])
}

describe('refused', () => {
  const chunked = 'Transfer-Encoding: chunked'
  const zero = `0\r\n\r\n${HIDDEN}`
  test.each<[string, string[], string]>([
    ['CL.TE', [`Content-Length: ${zero.length}`, chunked], zero],
    ['TE.CL', [chunked, 'Content-Length: 4'], `5c\r\n${HIDDEN}`],
    ['TE.TE', [chunked, 'Transfer-Encoding: identity'], zero],
    ['TE twice', [chunked, chunked], zero],
    ['TE obscured', ['Transfer-Encoding: xchunked'], zero],
    ['TE not last', ['Transfer-Encoding: chunked, gzip'], zero],
    ['TE with another before', ['Transfer-Encoding: gzip, chunked'], zero],
    ['TE with a space before the colon', ['Transfer-Encoding : chunked'], zero],
    ['TE behind a control byte', ['Transfer-Encoding:\x0bchunked'], zero],
    ['two lengths', ['Content-Length: 0', `Content-Length: ${HIDDEN.length}`], HIDDEN],
    ['the same length twice', ['Content-Length: 1', 'Content-Length: 1'], 'x'],
    ['a list of lengths', ['Content-Length: 0, 36'], HIDDEN],
    ['a length with a sign', ['Content-Length: +36'], HIDDEN],
    ['a length with 0x', ['Content-Length: 0x24'], HIDDEN],
    ['a negative length', ['Content-Length: -1'], HIDDEN],
    ['a length beyond 64 bits', ['Content-Length: 18446744073709551617'], HIDDEN],
    ['a folded header', ['X-A: 1', ' Transfer-Encoding: chunked'], zero],
    ['a folded first header', [' X-A: 1'], ''],
    ['a bare LF after a header', ['X-A: 1\nTransfer-Encoding: chunked'], zero],
    ['a bare CR in a header', ['X-A: 1\rTransfer-Encoding: chunked'], zero],
    ['NUL in a header', ['X-A: 1\0'], ''],
    ['a header without a name', [': 1'], ''],
    ['a header without a colon', ['X-A'], ''],
    ['more headers than a head has', Array.from({ length: 300 }, (_, i) => `X-${i}: 1`), ''],
    ['a head beyond all measure', [`X-A: ${'x'.repeat(100_000)}`], ''],
    ['two hosts', ['Host: localhost'], ''],
  ])('%s', async (_, lines, rest) => {
    await expectRefused(lines, rest)
  })

  test.each([
    ['an absolute target', 'GET http://localhost/v1/sandboxes HTTP/1.1'],
    ['an absolute target of its own', 'GET http://HOST/ HTTP/1.1'],
    ['an authority', 'GET HOST HTTP/1.1'],
    ['CONNECT', 'CONNECT HOST:80 HTTP/1.1'],
    ['a space in the target', 'GET /a b HTTP/1.1'],
    ['CR in the target', 'GET /a\rb HTTP/1.1'],
    ['a bare LF after the first line', 'GET / HTTP/1.1\nX-A: 1'],
    ['another protocol', 'GET / HTTP/3.0'],
    ['a method in two words', 'GET GET / HTTP/1.1'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0'],
  ])('%s', async (_, line) => {
    await world.heads()
    const host = world.host(PORTS.public)
    const answer = await world.raw(`${line.replace('HOST', host)}\r\nHost: ${host}\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /)
    expect(await world.heads()).toEqual([])
  })
})

describe('a body that turns out to be malformed never makes a second request', () => {
  test.each([
    ['0x in a size', `0x5\r\nhello\r\n0\r\n\r\n${HIDDEN}`],
    ['a negative size', `-1\r\n\r\n${HIDDEN}`],
    ['a size beyond 64 bits', `10000000000000005\r\nhello\r\n0\r\n\r\n${HIDDEN}`],
    ['a bare LF after a size', `5\nhello\r\n0\r\n\r\n${HIDDEN}`],
    ['a bare LF after the data', `5\r\nhello\n0\r\n\r\n${HIDDEN}`],
    ['data longer than its size', `5\r\nhello${HIDDEN}`],
    ['an extension with a bare LF', `5;a=\n${HIDDEN}\r\nhello\r\n0\r\n\r\n`],
  ])('%s', async (_, body) => {
    const { heads } = await send(['Transfer-Encoding: chunked'], body)
    expect(heads.filter((head) => !head.startsWith('POST /outer '))).toEqual([])
    expect((await world.ask('/')).status).toBe(200)
  })
})

test('extensions of chunks are dropped', async () => {
  const { answer } = await send(
    ['Transfer-Encoding: chunked', 'Connection: close'],
    '5;a="b"\r\nhello\r\n0\r\n\r\n',
  )
  expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  expect(answer).toContain('"size": 5')
})

test.each([[[]], [['Host: a', 'Host: b']], [['Host: a', 'host: a']]])(
  'a request that names its port otherwise has one host as well: %s',
  async (hosts) => {
    const named = [
      `Caisson-Sandbox-Id: ${world.sandbox.id}`,
      'Caisson-Sandbox-Port: 3000',
      'Connection: close',
    ]
    for (const lines of [
      ['GET / HTTP/1.1', ...hosts, ...named],
      [`GET /p/${world.sandbox.id}/3000/ HTTP/1.1`, ...hosts, 'Connection: close'],
    ])
      expect(await world.raw(`${lines.join('\r\n')}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 400 /)
  },
)

test('a second request over the connection is judged for itself', async () => {
  const first = `GET /first HTTP/1.1\r\nHost: ${world.host(PORTS.public)}\r\n\r\n`
  const second = `GET /second HTTP/1.1\r\nHost: ${world.host(PORTS.private)}\r\n\r\n`
  const third = 'GET /v1/sandboxes HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
  const answer = await world.raw(first + second + third, 2000)
  const statuses = [...answer.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status)
  expect(statuses).toEqual(['200', '401', '401'])
  expect(answer).toContain('port_denied')
  expect(answer).toContain('unauthenticated')
})

test('what follows a request for a WebSocket is no tunnel unless the program agrees', async () => {
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==']
  const host = world.host(PORTS.public)
  for (const path of ['/no-ws', '/', '/garbage', '/status?line=101+Yes']) {
    await world.heads()
    const head = [`GET ${path} HTTP/1.1`, `Host: ${host}`, ...upgrade, 'Sec-WebSocket-Version: 13']
    await world.raw(`${head.join('\r\n')}\r\n\r\n${HIDDEN}`)
    const heads = await world.heads()
    expect(heads.map((text) => text.split(' ')[1])).toEqual([path])
  }
  await expectRefused([...upgrade, `Content-Length: ${HIDDEN.length}`], HIDDEN, 'GET')
  await expectRefused(upgrade, HIDDEN, 'POST')
})

test('other protocols are not offered to the program', async () => {
  const lines = [
    'Connection: Upgrade, HTTP2-Settings',
    'Upgrade: h2c',
    'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
  ]
  const { answer, heads } = await send(lines, HIDDEN.replace('Host: x', 'Host: localhost'), 'GET')
  expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  expect(heads).toHaveLength(1)
  expect(heads[0]?.toLowerCase()).not.toContain('upgrade')
  expect(heads[0]?.toLowerCase()).not.toContain('h2c')
})

test('a request for a WebSocket behind one that is not answered yet', async () => {
  const host = world.host(PORTS.public)
  const first = `GET /hang HTTP/1.1\r\nHost: ${host}\r\n\r\n`
  const upgrade = `GET /ws HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`
  expect(await world.raw(first + upgrade)).toBe('')
  expect((await world.ask('/')).status).toBe(200)
})

test('a head that comes too slowly is not waited for', async () => {
  const answer = await world.raw(`GET / HTTP/1.1\r\nHost: ${world.host(PORTS.public)}\r\n`, 25_000)
  expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /)
})

test('no request, however malformed, does the server harm', async () => {
  const host = world.host(PORTS.public)
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
  const wholes = [
    `POST /a?b HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\nCookie: a=1\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n`,
    `GET /ws HTTP/1.1\r\nHost: ${host}\r\n${upgrade}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n\x81\x81\0\0\0\0a`,
    `GET /p/${world.sandbox.id}/3000/?caisson_token=%zz HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 1\r\n\r\n`,
    `GET /?a HTTP/1.1\r\nHost: x\r\nE2b-Sandbox-Id: ${world.sandbox.id.replace('sbx_', 'i')}\r\nE2b-Sandbox-Port: 3000\r\nX-Access-Token: x\r\n\r\n`,
    `HEAD / HTTP/1.1\r\nHost: x\r\nCaisson-Sandbox-Id: ${world.sandbox.id}\r\nCaisson-Sandbox-Port: 3000\r\n\r\n`,
  ]
  const random = seeded(7)
  for (let i = 0; i < 300; i++) {
    const bytes = Buffer.from(wholes[i % wholes.length] as string, 'latin1')
    for (let change = random(4); change >= 0; change--) bytes[random(bytes.length)] = random(256)
    await world.raw(bytes.toString('latin1'), 10)
  }
  expect((await world.ask('/')).status).toBe(200)
  expect(world.server.log()).not.toContain('"level":50')
})

/** Numbers below a bound, the same in every run. */
function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
