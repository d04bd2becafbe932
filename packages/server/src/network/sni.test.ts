import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { connect } from 'node:tls'
import { expect, test } from 'vitest'
import { Refusal } from './refusal.ts'
import { MAX_HELLO, readServerName } from './sni.ts'

/** Numbers and bytes, one after the other; an array is preceded by its length in two bytes, told as the first. */
const u16 = (n: number) => Buffer.from([n >> 8, n & 255])
const vector = (body: Buffer, width = 2) =>
  Buffer.concat([width === 1 ? Buffer.from([body.length]) : u16(body.length), body])
const extension = (type: number, body: Buffer) => Buffer.concat([u16(type), vector(body)])
const hostName = (name: string | Buffer, type = 0) =>
  Buffer.concat([Buffer.from([type]), vector(Buffer.from(name as string, 'latin1'))])
const serverName = (...names: Buffer[]) => extension(0, vector(Buffer.concat(names)))

interface Parts {
  extensions?: Buffer[] | null
  session?: number
  ciphers?: Buffer
  compressions?: Buffer
  after?: Buffer
}

function message(parts: Parts = {}): Buffer {
  const { extensions = [serverName(hostName('good.test'))], session = 32, ciphers = u16(0x1301) } = parts
  const body = Buffer.concat([
    u16(0x0303),
    Buffer.alloc(32, 7),
    vector(Buffer.alloc(session), 1),
    vector(ciphers),
    vector(parts.compressions ?? Buffer.from([0]), 1),
    extensions === null ? Buffer.alloc(0) : vector(Buffer.concat(extensions)),
    parts.after ?? Buffer.alloc(0),
  ])
  return Buffer.concat([Buffer.from([1, 0]), u16(body.length), body])
}

function records(bytes: Buffer, size = 16_384): Buffer {
  const all: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) {
    all.push(Buffer.from([22, 3, 1]), vector(bytes.subarray(at, at + size)))
  }
  return Buffer.concat(all)
}

const hello = (parts?: Parts) => records(message(parts))

function ruleOf(bytes: Buffer): string {
  try {
    return JSON.stringify(readServerName(bytes))
  } catch (error) {
    if (error instanceof Refusal) return error.rule
    throw error
  }
}

test('reads the name of what real clients send', async () => {
  const server = createServer()
  server.listen(0)
  await once(server, 'listening')
  const client = connect({ port: (server.address() as { port: number }).port, servername: 'Good.Test' })
  client.on('error', () => {})
  const [socket] = (await once(server, 'connection')) as [Socket]
  const [bytes] = await once(socket, 'data')
  expect(readServerName(bytes)).toEqual({ name: 'good.test' })
  client.destroy()
  socket.destroy()
  server.close()
})

test('the name is found in any order of extensions, spread over records, and followed by other records', () => {
  const grease = extension(0x0a0a, Buffer.alloc(0))
  const ech = extension(0xfe0d, Buffer.alloc(200))
  expect(readServerName(hello({ extensions: [grease, ech, serverName(hostName('a.good.test'))] }))).toEqual({
    name: 'a.good.test',
  })
  expect(readServerName(records(message(), 3))).toEqual({ name: 'good.test' })
  expect(readServerName(Buffer.concat([hello(), Buffer.from([20, 3, 3, 0, 1, 1])]))).toEqual({
    name: 'good.test',
  })
  expect(readServerName(hello({ session: 0 }))).toEqual({ name: 'good.test' })
})

test('a hello that is cut anywhere asks for more, up to its end and never beyond', () => {
  for (const whole of [hello(), records(message(), 50)]) {
    for (let length = 0; length < whole.length; length++) {
      const found = readServerName(whole.subarray(0, length))
      expect(found).toHaveProperty('need')
      const { need } = found as { need: number }
      expect(need).toBeGreaterThan(length)
      expect(need).toBeLessThanOrEqual(whole.length)
    }
  }
})

test.each<[string, Buffer, string]>([
  ['no extensions', hello({ extensions: null }), 'TLS without a name'],
  ['no name', hello({ extensions: [] }), 'TLS without a name'],
  ['an IPv4 address', hello({ extensions: [serverName(hostName('1.2.3.4'))] }), 'TLS without a name'],
  ['an IPv6 address', hello({ extensions: [serverName(hostName('2606:2800::1'))] }), 'TLS without a name'],
  ['an address as a number', hello({ extensions: [serverName(hostName('2130706433'))] }), 'malformed TLS'],
  [
    'two names',
    hello({ extensions: [serverName(hostName('good.test'), hostName('evil.test'))] }),
    'malformed TLS',
  ],
  [
    'the extension twice',
    hello({ extensions: [serverName(hostName('good.test')), serverName(hostName('evil.test'))] }),
    'malformed TLS',
  ],
  ['an unknown type of name', hello({ extensions: [serverName(hostName('good.test', 1))] }), 'malformed TLS'],
  ['an empty list', hello({ extensions: [serverName()] }), 'malformed TLS'],
  ['an empty name', hello({ extensions: [serverName(hostName(''))] }), 'malformed TLS'],
  ['NUL', hello({ extensions: [serverName(hostName('evil.test\0.good.test'))] }), 'malformed TLS'],
  ['a line break', hello({ extensions: [serverName(hostName('good.test\r\n'))] }), 'malformed TLS'],
  ['a space', hello({ extensions: [serverName(hostName(' good.test'))] }), 'malformed TLS'],
  ['a trailing dot', hello({ extensions: [serverName(hostName('good.test.'))] }), 'malformed TLS'],
  ['raw UTF-8', hello({ extensions: [serverName(hostName('b\xc3\xbccher.test'))] }), 'malformed TLS'],
  ['a wildcard', hello({ extensions: [serverName(hostName('*.test'))] }), 'malformed TLS'],
  ['a long label', hello({ extensions: [serverName(hostName(`${'a'.repeat(64)}.test`))] }), 'malformed TLS'],
  ['a long name', hello({ extensions: [serverName(hostName(`${'a.'.repeat(130)}test`))] }), 'malformed TLS'],
  ['bytes after the extensions', hello({ after: Buffer.from([0]) }), 'malformed TLS'],
  ['a long session id', hello({ session: 33 }), 'malformed TLS'],
  ['half a cipher', hello({ ciphers: Buffer.from([1]) }), 'malformed TLS'],
  ['no cipher', hello({ ciphers: Buffer.alloc(0) }), 'malformed TLS'],
  ['no compression', hello({ compressions: Buffer.alloc(0) }), 'malformed TLS'],
  ['a second message in the record', records(Buffer.concat([message(), Buffer.from([1])])), 'malformed TLS'],
  ['another message', records(Buffer.from([2, 0, 0, 0])), 'malformed TLS'],
  ['an empty record', Buffer.from([22, 3, 1, 0, 0]), 'malformed TLS'],
  ['too long a record', Buffer.from([22, 3, 1, 0x40, 1]), 'malformed TLS'],
  ['too long a hello', records(Buffer.from([1, 1, 0, 0])), 'malformed TLS'],
  ['too many records', records(message(), 1), 'malformed TLS'],
  [
    'an alert in between',
    Buffer.concat([records(message().subarray(0, 20)), Buffer.from([21, 3, 1, 0, 2])]),
    'malformed TLS',
  ],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\n'), 'not TLS'],
  ['another major version', Buffer.from([22, 2]), 'not TLS'],
])('%s is refused', (_, bytes, rule) => {
  expect(ruleOf(bytes)).toBe(rule)
})

test('random cuts, flips and repetitions give a name, a wish for more, or a refusal', () => {
  let state = 42
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const seeds = [
    hello(),
    records(message(), 40),
    hello({ extensions: [extension(0xfe0d, Buffer.alloc(64)), serverName(hostName('good.test'))] }),
  ]
  const outcomes = new Set<string>()
  for (let n = 0; n < 100_000; n++) {
    const bytes = Buffer.from(seeds[random(seeds.length)]!)
    for (let flips = random(6); flips > 0; flips--) bytes[random(bytes.length)]! ^= 1 << random(8)
    const cut = random(4) === 0 ? bytes.subarray(0, random(bytes.length + 1)) : bytes
    const again = random(20) === 0 ? Buffer.concat([cut, bytes.subarray(random(bytes.length))]) : cut
    outcomes.add(ruleOf(again).replace(/".*/, ''))
    const found = ruleOf(again)
    if (found.startsWith('{"need"')) expect(JSON.parse(found).need).toBeLessThanOrEqual(MAX_HELLO)
  }
  expect([...outcomes].sort()).toEqual(['TLS without a name', 'malformed TLS', 'not TLS', '{'])
})
