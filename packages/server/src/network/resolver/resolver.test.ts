import { once } from 'node:events'
import { connect } from 'node:net'
import type { NetworkAsked } from '@caisson/protocol/resources'
import { type Answer, decode } from 'dns-packet'
import pino from 'pino'
import { afterEach, describe, expect, test } from 'vitest'
import { askTcp, askUdp, dataOf, FakeSubject, policyOf, question, sendUdp } from './client.test-kit.ts'
import { Resolver } from './index.ts'
import { MessageStream } from './message-stream.ts'
import {
  a,
  cname,
  NXDOMAIN,
  replyTo,
  type Script,
  ScriptedServer,
  SERVFAIL,
  TRUNCATED,
} from './upstream.test-kit.ts'

const log = pino({ level: 'silent' })
const stack: AsyncDisposableStack[] = []
afterEach(async () => {
  for (const one of stack.splice(0)) await one.disposeAsync()
})

const FAST = { answerMs: 200, questionMs: 1000, sockets: 512 }

async function world(
  asked: NetworkAsked,
  script: Script,
  { ipv6 = true, limits = FAST, servers = [] as string[] } = {},
) {
  const using = new AsyncDisposableStack()
  stack.push(using)
  const upstream = using.use(await ScriptedServer.start(script))
  const subject = new FakeSubject(asked)
  const resolver = new Resolver({
    nameServers: [...servers, upstream.address],
    find: (address) => (address === '127.0.0.1' ? subject : null),
    ipv6,
    log,
    limits,
  })
  using.defer(() => resolver.close())
  const [port = 0] = await resolver.listen({ address4: '127.0.0.1', address6: null }, 0)
  return { upstream, subject, resolver, port }
}

const one =
  (data: string, ttl = 60): Script =>
  ({ name, type }) =>
    (type === 'AAAA') === data.includes(':') ? [a(name, data, ttl)] : []
const zone =
  (records: Record<string, Answer[]>): Script =>
  (asked) =>
    records[asked.name]?.filter(({ type }) => type === asked.type || type === 'CNAME') ??
    replyTo(asked, { flags: NXDOMAIN })

describe('names', () => {
  test('that are allowed are answered, and asked for once', async () => {
    const { port, upstream, subject } = await world({ allow: ['*.example.com'] }, one('93.184.216.34', 200))
    const reply = await askUdp(port, question('WWW.Example.com', 'A'))
    expect(reply).toMatchObject({ rcode: 'NOERROR', id: 4711, flag_ra: true, flag_rd: true, flag_aa: false })
    expect(reply.questions).toMatchObject([{ name: 'WWW.Example.com' }])
    expect(reply.answers).toMatchObject([{ name: 'WWW.Example.com', data: '93.184.216.34', ttl: 200 }])
    await askUdp(port, question('www.example.com', 'A'))
    expect(upstream.names()).toEqual(['A www.example.com'])
    expect(subject.seen).toEqual([])
  })

  test.each([
    ['evil.test', 'default deny'],
    ['example.com', 'default deny'],
    ['no.example.com', 'deny no.example.com'],
    ['localhost', 'local name'],
    ['x.localhost', 'local name'],
    ['metadata.google.internal', 'local name'],
    ['metadata', 'local name'],
    ['printer.local', 'local name'],
    ['127.1', 'no name'],
    ['2130706433', 'no name'],
    ['a%00.example.com', 'no name'],
    ['34.216.184.93.in-addr.arpa', 'default deny'],
  ])('%s is refused by %s and never asked for', async (name, rule) => {
    const { port, upstream, subject } = await world(
      { allow: ['*.example.com'], deny: ['no.example.com'] },
      one('1.1.1.1'),
    )
    const reply = await askUdp(port, question(name, 'A'))
    expect(reply).toMatchObject({ rcode: 'NXDOMAIN', answers: [], questions: [{ name }] })
    expect(upstream.log).toEqual([])
    expect(subject.seen).toMatchObject([
      { verdict: 'refused', protocol: 'dns', name, rule, port: null, source: { protocol: 'udp' } },
    ])
  })

  test('with control characters, blanks or bytes that are no text are a malformed question', async () => {
    const { port, upstream } = await world(true, one('1.1.1.1'))
    for (const bytes of ['a\0b', 'a b', 'a\nb', 'ü', 'a.b..c']) {
      const message = question('xxxxx.example.com', 'A')
      Buffer.from(bytes.padEnd(5, ' ')).copy(message, 13)
      expect(await askRaw(port, message)).toBe(1)
    }
    expect(upstream.log).toEqual([])
  })

  test('that are refused say why to clients that listen', async () => {
    const { port } = await world({ allow: [] }, one('1.1.1.1'))
    const additionals: Answer[] = [
      { type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, options: [] } as never,
    ]
    const reply = await askUdp(port, question('evil.test', 'A', { additionals }))
    const [opt] = reply.additionals as { options: { code: number; data: Buffer }[] }[]
    expect(opt?.options[0]?.code).toBe(15)
    expect(opt?.options[0]?.data.toString('latin1')).toContain('no rule allows this name')
  })

  test('have no IPv6 address where sandboxes have none, and nobody is asked', async () => {
    const { port, upstream } = await world(true, one('2606::1'), { ipv6: false })
    expect(await askUdp(port, question('a.test', 'AAAA'))).toMatchObject({ rcode: 'NOERROR', answers: [] })
    expect(upstream.log).toEqual([])
  })

  test('that nobody knows do not exist', async () => {
    const { port } = await world(true, zone({}))
    expect(await askUdp(port, question('a.test', 'A'))).toMatchObject({ rcode: 'NXDOMAIN', answers: [] })
  })
})

describe('types', () => {
  test.each(['HTTPS', 'ANY', 'AXFR', 'DNSKEY', 'NAPTR'])(
    '%s has no records, and nobody is asked',
    async (type) => {
      const { port, upstream } = await world(true, one('1.1.1.1'))
      const wire = type === 'HTTPS' ? 'UNKNOWN_65' : type
      expect(await askUdp(port, question('a.test', wire as 'A'))).toMatchObject({
        rcode: 'NOERROR',
        answers: [],
      })
      expect(upstream.log).toEqual([])
    },
  )

  test('of mail, text and services are passed on', async () => {
    const records: Answer[] = [
      { type: 'MX', name: 'a.test', ttl: 60, data: { preference: 1, exchange: 'mx.a.test' } },
      { type: 'TXT', name: 'a.test', ttl: 60, data: [Buffer.from('hello')] },
      { type: 'SRV', name: 'a.test', ttl: 60, data: { port: 1, target: 's.a.test', priority: 0, weight: 0 } },
      { type: 'NS', name: 'a.test', ttl: 60, data: 'ns.a.test' },
      { type: 'CAA', name: 'a.test', ttl: 60, data: { flags: 0, tag: 'issue', value: 'ca.test' } },
      { type: 'SOA', name: 'a.test', ttl: 60, data: { mname: 'ns.a.test', rname: 'root.a.test' } },
    ]
    const { port } = await world({ allow: ['a.test'] }, zone({ 'a.test': records }))
    for (const { type } of records) {
      const reply = await askUdp(port, question('a.test', type as 'MX'))
      expect(reply.answers).toMatchObject([{ type, name: 'a.test' }])
    }
  })

  test('PTR is for addresses that may be reached', async () => {
    const ptr: Script = ({ name }) => [{ type: 'PTR', name, ttl: 60, data: 'host.test' }]
    const { port, upstream } = await world(true, ptr)
    expect(dataOf(await askUdp(port, question('4.3.2.1.in-addr.arpa', 'PTR')))).toEqual(['host.test'])
    for (const name of [
      '1.0.0.10.in-addr.arpa',
      '254.169.254.169.in-addr.arpa',
      '3.2.1.in-addr.arpa',
      `${'0.'.repeat(31)}f.ip6.arpa`,
    ])
      expect(await askUdp(port, question(name, 'PTR'))).toMatchObject({ rcode: 'NXDOMAIN' })
    expect(upstream.log).toHaveLength(1)
  })
})

describe('aliases', () => {
  test('are followed and told', async () => {
    const { port } = await world(
      { allow: ['a.test'] },
      zone({
        'a.test': [
          cname('a.test', 'B.test'),
          cname('b.test', 'c.test'),
          a('c.test', '1.1.1.1'),
          a('other.test', '9.9.9.9'),
        ],
      }),
    )
    expect(dataOf(await askUdp(port, question('a.test', 'A')))).toEqual(['B.test', 'c.test', '1.1.1.1'])
  })

  test('to a name that is denied make everything refused', async () => {
    const { port, subject } = await world(
      { deny: ['*.evil.test'] },
      zone({ 'a.test': [cname('a.test', 'x.evil.test'), a('x.evil.test', '1.1.1.1')] }),
    )
    expect(await askUdp(port, question('a.test', 'A'))).toMatchObject({ rcode: 'NXDOMAIN', answers: [] })
    expect(subject.seen).toMatchObject([{ name: 'x.evil.test', rule: 'deny *.evil.test' }])
  })

  test('that go in circles lead nowhere', async () => {
    const { port } = await world(
      true,
      zone({ 'a.test': [cname('a.test', 'b.test'), cname('b.test', 'a.test')] }),
    )
    expect(dataOf(await askUdp(port, question('a.test', 'A')))).toEqual(['b.test', 'a.test'])
  })
})

describe('addresses', () => {
  test.each([
    ['10.0.0.1', 'private address'],
    ['127.0.0.1', 'loopback address'],
    ['169.254.169.254', 'metadata service'],
    ['100.100.100.200', 'metadata service'],
    ['0.0.0.0', 'address of this network'],
    ['198.19.255.254', 'benchmark address'],
  ])('%s is never told: %s', async (address, rule) => {
    const { port, subject } = await world({ allow: ['a.test'] }, one(address))
    expect(await askUdp(port, question('a.test', 'A'))).toMatchObject({ rcode: 'NXDOMAIN', answers: [] })
    expect(subject.seen).toMatchObject([{ name: 'a.test', address, rule }])
  })

  test.each(['fd00:ec2::254', '::1', '64:ff9b::a00:1', '2002:a00:1::1'])(
    '%s is never told',
    async (address) => {
      const { port } = await world(true, one(address))
      expect(await askUdp(port, question('a.test', 'AAAA'))).toMatchObject({ rcode: 'NOERROR', answers: [] })
    },
  )

  test('of IPv4 in IPv6 are never told', async () => {
    const mapped: Script = (asked) => {
      const reply = replyTo(asked, { answers: [a(asked.name, '2606::1')] })
      Buffer.from('00000000000000000000ffff01010101', 'hex').copy(reply, reply.length - 16)
      return reply
    }
    const { port, subject } = await world(true, mapped)
    expect(await askUdp(port, question('a.test', 'AAAA'))).toMatchObject({ rcode: 'NOERROR', answers: [] })
    expect(subject.seen).toMatchObject([{ rule: 'IPv4-mapped address' }])
  })

  test('that may be reached are told without the others', async () => {
    const mixed = ['10.0.0.1', '1.1.1.1', '127.0.0.1', '9.9.9.9']
    const { port, subject } = await world({ deny: ['9.9.9.9'] }, ({ name }) =>
      mixed.map((data) => a(name, data)),
    )
    expect(dataOf(await askUdp(port, question('a.test', 'A')))).toEqual(['1.1.1.1'])
    expect(subject.seen.map(({ rule }) => rule)).toEqual([
      'private address',
      'loopback address',
      'deny 9.9.9.9',
    ])
  })

  test('that flip to private ones with a lifetime of 0 are refused from then on', async () => {
    const answers = ['1.1.1.1', '10.0.0.1', '1.1.1.1', '169.254.169.254']
    const flip: Script = ({ name }) => [a(name, answers.shift() ?? '127.0.0.1', 0)]
    const { port, resolver, subject } = await world({ allow: ['a.test:22'] }, flip, { ipv6: false })
    expect(dataOf(await askUdp(port, question('a.test', 'A')))).toEqual(['1.1.1.1'])
    expect(dataOf(await askUdp(port, question('a.test', 'A')))).toEqual([])
    expect(await resolver.resolve(subject, 'a.test')).toEqual(['1.1.1.1'])
    expect(await resolver.resolve(subject, 'a.test')).toEqual([])
    expect(subject.pins.flat().map(({ address }) => address)).toEqual(['1.1.1.1'])
  })
})

describe('pins', () => {
  test('are in force before the answer is told', async () => {
    const { port, subject } = await world({ allow: ['a.test:22', 'a.test:25', 'b.test'] }, one('1.1.1.1', 30))
    const order: string[] = []
    subject.onPin = async () => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      order.push('pinned')
    }
    await askUdp(port, question('a.test', 'A')).then(() => order.push('told'))
    expect(order).toEqual(['pinned', 'told'])
    expect(subject.pins).toEqual([
      [
        { address: '1.1.1.1', port: 22, seconds: 120 },
        { address: '1.1.1.1', port: 25, seconds: 120 },
      ],
    ])
    await askUdp(port, question('b.test', 'A'))
    expect(subject.pins).toHaveLength(1)
  })

  test('outlive what is told, which is 5 minutes at most', async () => {
    const { port, subject } = await world({ allow: ['a.test:22'] }, one('1.1.1.1', 86_400))
    expect((await askUdp(port, question('a.test', 'A'))).answers).toMatchObject([{ ttl: 300 }])
    expect(subject.pins[0]?.[0]?.seconds).toBe(360)
  })

  test('that fail make the lookup fail', async () => {
    const { port, subject } = await world({ allow: ['a.test:22'] }, one('1.1.1.1'))
    subject.onPin = async () => {
      throw new Error('no launcher')
    }
    expect(await askUdp(port, question('a.test', 'A'))).toMatchObject({ rcode: 'SERVFAIL', answers: [] })
  })

  test('follow rules that change meanwhile', async () => {
    const { port, subject } = await world({ allow: ['a.test:22'] }, one('1.1.1.1'))
    subject.onPin = async () => {
      subject.policy = policyOf({ allow: [] })
    }
    expect(await askUdp(port, question('a.test', 'A'))).toMatchObject({ answers: [] })
  })

  test('of rules that are replaced meanwhile are not asked for', async () => {
    const many = Array.from({ length: 60 }, (_, n) => a('a.test', `1.1.1.${n}`))
    const ports = Array.from({ length: 10 }, (_, n) => `a.test:${n + 1000}`)
    const { port, subject } = await world({ allow: ports }, () => many)
    subject.onPin = async () => {
      subject.policy = policyOf({ allow: ['a.test'] })
    }
    await askTcp(port, question('a.test', 'A'))
    expect(subject.pins.map((pins) => pins.length)).toEqual([256])
  })

  test('are set again for names that are still allowed after the rules changed', async () => {
    const { port, subject, resolver } = await world(
      { allow: ['a.test:22', 'b.test:22', 'c.test:22'] },
      ({ name }) => [a(name, name === 'b.test' ? '2.2.2.2' : '1.1.1.1')],
    )
    for (const name of ['a.test', 'b.test', 'c.test']) await askUdp(port, question(name, 'A'))
    subject.pins.length = 0
    subject.policy = policyOf({ allow: ['a.test:22', 'a.test:25', 'c.test'], deny: ['b.test'] })
    expect(resolver.pinsOf(subject)).toEqual([
      { address: '1.1.1.1', port: 22, seconds: 120 },
      { address: '1.1.1.1', port: 25, seconds: 120 },
    ])
    expect(subject.pins).toEqual([])
    expect(resolver.nameOf(subject, '1.1.1.1')).toBe('c.test')
    expect(resolver.nameOf(subject, '3.3.3.3')).toBeNull()
  })
})

describe('the server itself', () => {
  test('finds the addresses of both families, judged', async () => {
    const { resolver, subject } = await world(
      { allow: ['a.test'] },
      zone({ 'a.test': [a('a.test', '1.1.1.1'), a('a.test', '10.0.0.1'), a('a.test', '2606::1')] }),
    )
    expect(await resolver.resolve(subject, 'a.test')).toEqual(['1.1.1.1', '2606::1'])
    expect(await resolver.addressesOf(subject, 'a.test')).toEqual(['1.1.1.1', '10.0.0.1', '2606::1'])
    expect(await resolver.resolve(subject, 'b.test')).toEqual([])
  })

  test('gives up when nobody answers or the signal says so', async () => {
    const { resolver, subject } = await world(true, () => null)
    await expect(resolver.resolve(subject, 'a.test')).rejects.toThrow()
    await expect(resolver.resolve(subject, 'b.test', AbortSignal.abort(new Error('enough')))).rejects.toThrow(
      'enough',
    )
  })
})

describe('name servers', () => {
  test('are asked from many ports with many ids, and told nothing of the sandbox', async () => {
    const { port, upstream } = await world(true, one('1.1.1.1'))
    const subnet = {
      type: 'OPT',
      name: '.',
      udpPayloadSize: 4096,
      flags: 0x8000,
      options: [{ code: 'CLIENT_SUBNET', ip: '1.2.3.0', sourcePrefixLength: 24 }],
    }
    for (let n = 0; n < 20; n++)
      await askUdp(port, question(`a${n}.test`, 'A', { additionals: [subnet as never] }))
    expect(new Set(upstream.log.map(({ id }) => id)).size).toBeGreaterThan(15)
    expect(upstream.log.some(({ message }) => message.includes(Buffer.of(0, 8, 0, 7)))).toBe(false)
  })

  test('that do not answer, or fail, are passed over for the next one', async () => {
    await using dead = await ScriptedServer.start(() => null)
    await using failing = await ScriptedServer.start((asked) => replyTo(asked, { flags: SERVFAIL }))
    const { port, upstream } = await world(true, one('1.1.1.1'), {
      servers: [dead.address, failing.address, '127.0.0.1:1'],
      limits: { ...FAST, questionMs: 5000 },
    })
    expect(dataOf(await askUdp(port, question('a.test', 'A')))).toEqual(['1.1.1.1'])
    expect(dataOf(await askUdp(port, question('b.test', 'A')))).toEqual(['1.1.1.1'])
    expect(upstream.log).toHaveLength(2)
    expect(dead.log).toHaveLength(1)
  })

  test('that never answer make the lookup fail in the end', async () => {
    const { port } = await world(true, () => null)
    expect(await askUdp(port, question('a.test', 'A'))).toMatchObject({ rcode: 'SERVFAIL' })
  })

  test('are asked by TCP for what a datagram cannot hold', async () => {
    const big = Array.from({ length: 60 }, (_, n) => a('a.test', `1.1.${n}.1`))
    const script: Script = (asked) => (asked.overTcp ? big : replyTo(asked, { flags: TRUNCATED }))
    const { port, upstream } = await world(true, script)
    const reply = await askUdp(port, question('a.test', 'A'))
    expect(reply).toMatchObject({ flag_tc: true, answers: [] })
    const [full] = await askTcp(port, question('a.test', 'A'))
    expect(full?.answers).toHaveLength(60)
    expect(upstream.log.map(({ overTcp }) => overTcp)).toEqual([false, true])
  })

  test('may send 64 KiB of text', async () => {
    const text = Array.from({ length: 250 }, () => Buffer.alloc(255, 'x'))
    const script: Script = (asked) =>
      asked.overTcp
        ? [{ type: 'TXT', name: asked.name, ttl: 60, data: text }]
        : replyTo(asked, { flags: TRUNCATED })
    const { port } = await world(true, script)
    const [reply] = await askTcp(port, question('a.test', 'TXT'))
    expect((dataOf(reply!)[0] as Buffer[]).length).toBe(250)
  })
})

describe('hostile answers', () => {
  const good = (asked: Parameters<Script>[0]) => replyTo(asked, { answers: [a(asked.name, '1.1.1.1')] })
  const loop = (asked: Parameters<Script>[0]) => {
    const reply = good(asked)
    const end = 12 + asked.name.length + 2 + 4
    // The name of the answer is a pointer to itself.
    reply.writeUInt16BE(0xc000 | end, end)
    return reply
  }

  test.each<[string, Script]>([
    [
      'of another id',
      (asked) => replyTo({ ...asked, id: asked.id ^ 1 }, { answers: [a(asked.name, '6.6.6.6')] }),
    ],
    [
      'to another name',
      (asked) => replyTo({ ...asked, name: 'b.test' }, { answers: [a('b.test', '6.6.6.6')] }),
    ],
    [
      'to another type',
      (asked) => replyTo({ ...asked, type: 'AAAA' }, { answers: [a(asked.name, '6.6.6.6')] }),
    ],
    ['that are questions', ({ message }) => message],
    ['without a question', (asked) => replyTo(asked, { questions: [], answers: [a(asked.name, '6.6.6.6')] })],
    ['that are cut', (asked) => good(asked).subarray(0, 20)],
    ['that are cut in the records', (asked) => good(asked).subarray(0, -3)],
    ['with names that point at themselves', loop],
    [
      'that claim 65535 records',
      (asked) => {
        const reply = good(asked)
        reply.writeUInt16BE(0xffff, 6)
        return reply
      },
    ],
    ['that are noise', () => Buffer.from('\xff'.repeat(100), 'latin1')],
    ['that are empty', () => Buffer.alloc(0)],
  ])('%s are passed over', async (_, script) => {
    const { port, upstream } = await world(true, script)
    upstream.script = (asked) => [script(asked) as Buffer, good(asked)]
    expect(dataOf(await askUdp(port, question('a.test', 'A')))).toEqual(['1.1.1.1'])
    upstream.script = script
    expect(await askUdp(port, question('c.test', 'A'))).toMatchObject({ rcode: 'SERVFAIL', answers: [] })
  })

  test('with records of other names are believed in nothing else', async () => {
    const { port, upstream } = await world(true, ({ name }) => [
      a(name, '1.1.1.1'),
      a('bank.test', '6.6.6.6'),
    ])
    expect(dataOf(await askUdp(port, question('a.test', 'A')))).toEqual(['1.1.1.1'])
    upstream.script = one('2.2.2.2')
    expect(dataOf(await askUdp(port, question('bank.test', 'A')))).toEqual(['2.2.2.2'])
  })

  test('with random damage break nothing', async () => {
    const { port } = await world(true, (asked) => {
      const reply = replyTo(asked, {
        answers: [
          cname(asked.name, 'x.test'),
          a('x.test', '1.1.1.1'),
          { type: 'TXT', name: 'x.test', data: ['t'], ttl: 1 },
        ],
      })
      for (let n = 0; n < 3; n++)
        reply[2 + Math.floor(Math.random() * (reply.length - 2))] = Math.random() * 256
      return [reply, good(asked)]
    })
    for (let n = 0; n < 150; n++) {
      const reply = await askUdp(port, question(`a${n}.test`, n % 3 ? 'A' : 'TXT'))
      for (const data of dataOf(reply))
        if (typeof data === 'string') expect(data).not.toMatch(/^(10|127|169)\./)
    }
  })
})

describe('questions', () => {
  test.each<[string, (message: Buffer) => Buffer, number | null]>([
    [
      'of two names',
      (message) => {
        message.writeUInt16BE(2, 4)
        return message
      },
      1,
    ],
    [
      'of none',
      (message) => {
        message.writeUInt16BE(0, 4)
        return message.subarray(0, 12)
      },
      1,
    ],
    [
      'with answers in them',
      (message) => {
        message.writeUInt16BE(1, 6)
        return message
      },
      1,
    ],
    [
      'with many additions',
      (message) => {
        message.writeUInt16BE(9, 10)
        return message
      },
      1,
    ],
    ['that are cut', (message) => message.subarray(0, 16), 1],
    [
      'of another class',
      (message) => {
        message.writeUInt16BE(3, message.length - 2)
        return message
      },
      4,
    ],
    [
      'with another purpose',
      (message) => {
        message.writeUInt16BE(0x2900, 2)
        return message
      },
      4,
    ],
    [
      'that are answers',
      (message) => {
        message.writeUInt16BE(0x8100, 2)
        return message
      },
      null,
    ],
    ['that are too short', (message) => message.subarray(0, 11), null],
  ])('%s are not asked on', async (_, change, rcode) => {
    const { port, upstream } = await world(true, one('1.1.1.1'))
    expect(await askRaw(port, change(question('a.test', 'A')))).toBe(rcode)
    expect(upstream.log).toEqual([])
  })

  test('of nobody that is known get no answer', async () => {
    const { port, upstream } = await world(true, one('1.1.1.1'))
    expect(await sendUdp(question('a.test', 'A'), port, { from: '127.0.0.2', patience: 200 })).toBeNull()
    const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' })
    socket.on('error', () => {})
    socket.write(MessageStream.frame(question('a.test', 'A')))
    await once(socket.resume(), 'close')
    expect(upstream.log).toEqual([])
  })

  test('come one after the other over a connection, whole or in pieces', async () => {
    const { port } = await world(true, one('1.1.1.1'))
    const messages = ['a.test', 'b.test', 'c.test'].map((name) => question(name, 'A'))
    expect((await askTcp(port, ...messages)).map(({ questions }) => questions?.[0]?.name)).toEqual([
      'a.test',
      'b.test',
      'c.test',
    ])
    const socket = connect(port, '127.0.0.1')
    for (const byte of MessageStream.frame(messages[0]!)) socket.write(Buffer.of(byte))
    const [answer] = await once(socket, 'data')
    expect(answer.length).toBeGreaterThan(20)
    socket.destroy()
  })

  test('beyond 16 connections are reset', async () => {
    const { port } = await world(true, one('1.1.1.1'))
    const sockets = Array.from({ length: 20 }, () => connect(port, '127.0.0.1').on('error', () => {}))
    let closed = 0
    await new Promise<void>((resolve) => {
      for (const socket of sockets) socket.resume().once('close', () => ++closed === 4 && resolve())
    })
    expect(sockets.filter((socket) => !socket.destroyed)).toHaveLength(16)
    for (const socket of sockets) socket.destroy()
  })

  test('in thousands are bounded, and the rest is refused at once and told as such', async () => {
    const { port, subject, upstream } = await world(true, one('1.1.1.1'))
    const messages = Array.from({ length: 1000 }, (_, n) => question(`a${n}.test`, 'A'))
    const replies = await Promise.all(messages.map((message) => sendUdp(message, port, { patience: 5000 })))
    const codes = replies.map((reply) => (reply === null ? 'none' : reply.readUInt16BE(2) & 15))
    const count = (code: number) => codes.filter((one) => one === code).length
    expect(count(0)).toBeGreaterThan(50)
    expect(count(0)).toBeLessThan(800)
    expect(count(5)).toBeGreaterThan(100)
    expect(upstream.log.length).toBeLessThan(800)
    const told = subject.seen.filter(({ rule }) => rule === 'lookup limit')
    expect(told.length).toBeGreaterThan(0)
    expect(told.length).toBeLessThan(20)
  })

  test('for which no socket is left wait for one', async () => {
    const { resolver, subject, upstream } = await world(true, one('1.1.1.1'), {
      ipv6: false,
      limits: { ...FAST, answerMs: 2000, questionMs: 10_000, sockets: 4 },
    })
    const names = Array.from({ length: 60 }, (_, n) => `n${n}.test`)
    const found = await Promise.all(names.map((name) => resolver.resolve(subject, name)))
    expect(found.every(([address]) => address === '1.1.1.1')).toBe(true)
    expect(upstream.log).toHaveLength(60)
  })

  test('of one sandbox that wait are 64 at most', async () => {
    const { resolver, subject } = await world(true, () => null, { ipv6: false })
    const names = Array.from({ length: 80 }, (_, n) => `n${n}.test`)
    const failed = await Promise.allSettled(names.map((name) => resolver.resolve(subject, name)))
    const reasons = failed.map((one) => (one.status === 'rejected' ? String(one.reason) : ''))
    expect(reasons.filter((reason) => reason.includes('too many questions'))).toHaveLength(16)
  })
})

test('the same question of many at once is asked once', async () => {
  const { resolver, subject, upstream } = await world(true, one('1.1.1.1'), { ipv6: false })
  await Promise.all(Array.from({ length: 50 }, () => resolver.resolve(subject, 'a.test')))
  expect(upstream.log).toHaveLength(1)
})

test('sandboxes with IPv6 are answered over it', async () => {
  await using upstream = await ScriptedServer.start(one('2606::1'))
  const subject = new FakeSubject(true)
  const find = (address: string) => (address === '::1' ? subject : null)
  const resolver = new Resolver({ nameServers: [upstream.address], find, ipv6: true, log })
  const ports = await resolver.listen({ address4: '127.0.0.1', address6: '::1' }, 0)
  try {
    const answer = await sendUdp(question('a.test', 'AAAA'), ports[1] ?? 0, { from: '::1', to: '::1' })
    expect(answer && dataOf(decode(answer) as never)).toEqual(['2606::1'])
  } finally {
    await resolver.close()
  }
})

test('closing ends what is asked', async () => {
  const { resolver, subject } = await world(true, () => null, {
    limits: { answerMs: 60_000, questionMs: 60_000, sockets: 8 },
  })
  const asked = resolver.resolve(subject, 'a.test')
  const failed = expect(asked).rejects.toThrow('closed')
  await resolver.close()
  await failed
})

test('a name server must be an address', () => {
  const make = (text: string) => new Resolver({ nameServers: [text], find: () => null, ipv6: false, log })
  expect(() => make('dns.example')).toThrow(/network.dns\[0\]/)
  for (const text of ['1.1.1.1', '1.1.1.1:53', '2606::1', '[2606::1]:53', 'fe80::1%eth0'])
    expect(() => make(text)).not.toThrow()
})

/** The code of the answer; null without one. */
async function askRaw(port: number, message: Buffer): Promise<number | null> {
  const answer = await sendUdp(message, port, { patience: 300 })
  return answer && answer.readUInt16BE(2) & 15
}
