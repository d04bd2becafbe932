import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decode } from 'dns-packet'
import { expect, test } from 'vitest'
import { formatAddress } from '../../core/network/address.ts'
import { Allowance } from './allowance.ts'
import { Cache } from './cache.ts'
import { policyOf, question } from './client.test-kit.ts'
import type { Found } from './found.ts'
import { MessageStream } from './message-stream.ts'
import { systemNameServers } from './name-servers.ts'
import { NamesTold } from './names-told.ts'
import { pinSeconds, pinsAgain } from './pins.ts'
import { addressOfReverse, isReverse } from './reverse.ts'
import { encodeAnswer, parseQuery, refuseBytes } from './wire.ts'

const found = (ttl: number): Found => ({
  exists: true,
  chain: [],
  records: [{ type: 'A', name: 'a.test', data: '1.1.1.1', ttl }],
  ttl,
})

test('an answer is kept for its lifetime and grows old', () => {
  let now = 0
  const cache = new Cache(10, () => now)
  cache.set('a.test', 'A', found(10))
  expect(cache.get('a.test', 'AAAA')).toBeNull()
  now = 4500
  expect(cache.get('a.test', 'A')).toMatchObject({ ttl: 6, records: [{ ttl: 6 }] })
  now = 10_000
  expect(cache.get('a.test', 'A')).toBeNull()
  expect(cache.size).toBe(0)
})

test('an answer without a lifetime is not kept', () => {
  const cache = new Cache(10)
  cache.set('a.test', 'A', found(0))
  expect(cache.size).toBe(0)
})

test('the answer that was used least recently goes first', () => {
  const cache = new Cache(2)
  cache.set('a.test', 'A', found(10))
  cache.set('b.test', 'A', found(10))
  cache.get('a.test', 'A')
  cache.set('c.test', 'A', found(10))
  expect(['a.test', 'b.test', 'c.test'].map((name) => cache.get(name, 'A') !== null)).toEqual([
    true,
    false,
    true,
  ])
})

test('a sandbox has a burst of questions, then so many a second, then refusals, then nothing', () => {
  let now = 0
  const allowance = new Allowance(() => now)
  const many = (count: number) => {
    const taken = Array.from({ length: count }, () => allowance.take())
    return ['answer', 'refuse', 'drop'].map((what) => taken.filter((one) => one === what).length)
  }
  expect(many(3000)).toEqual([200, 2000, 800])
  now = 1000
  expect(many(1500)).toEqual([100, 1000, 400])
  now = 10_000
  expect(many(300)).toEqual([200, 100, 0])
})

test('questions whose answer was known cost a tenth', () => {
  const allowance = new Allowance(() => 0)
  for (let n = 0; n < 1990; n++) {
    expect(allowance.take()).toBe('answer')
    allowance.wasKnown()
  }
  const rest = Array.from({ length: 10 }, () => allowance.take())
  expect(rest).toContain('refuse')
})

test('refused questions are told once a second', () => {
  let now = 0
  const allowance = new Allowance(() => now)
  expect([allowance.tell(), allowance.tell()]).toEqual([true, false])
  now = 1000
  expect(allowance.tell()).toBe(true)
})

test('a place among the waiting is given back', () => {
  const allowance = new Allowance()
  const places = Array.from({ length: 64 }, () => allowance.wait())
  expect(allowance.wait()).toBeNull()
  places[0]?.()
  expect(allowance.wait()).not.toBeNull()
})

test('names are remembered with the addresses of both families for an hour', () => {
  let now = 0
  const names = new NamesTold(() => now)
  names.add('a.test', ['1.1.1.1'])
  names.add('a.test', ['2606::1'])
  names.add('b.test', [])
  names.add('c.test', ['1.1.1.1'])
  expect([names.nameOf('1.1.1.1'), names.nameOf('2606::1'), names.nameOf('9.9.9.9')]).toEqual([
    'c.test',
    'a.test',
    null,
  ])
  expect([...names.recent()].map(([name]) => name)).toEqual(['a.test', 'c.test'])
  now = 3_600_001
  expect(names.nameOf('1.1.1.1')).toBeNull()
})

test('names and addresses that are remembered are bounded', () => {
  const names = new NamesTold()
  for (let n = 0; n < 1500; n++) names.add(`n${n}.test`, ['1.1.1.1'])
  expect([...names.recent()]).toHaveLength(1000)
  for (let n = 0; n < 500; n++) names.add('n1499.test', [`1.1.${n >> 8}.${n & 255}`])
  expect([...names.recent()].at(-1)?.[1].addresses.size).toBe(64)
})

test('so many pins are set again after a change of rules, those of the latest names first', () => {
  const names = new NamesTold()
  for (let n = 0; n < 1000; n++)
    names.add(`n${n}.test`, [`93.1.${n >> 8}.${n & 255}`, '93.2.2.2', '93.3.3.3'])
  const pins = pinsAgain(policyOf({ allow: ['*.test:22'] }), names)
  expect(pins).toHaveLength(2048)
  expect(pins[0]).toEqual({ address: '93.1.3.231', port: 22, seconds: 120 })
})

test('a pin outlives the answer', () => {
  expect([0, 59, 60, 300].map(pinSeconds)).toEqual([120, 120, 120, 360])
})

test('messages on a connection are found however they are cut', () => {
  const messages = [Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(300, 'b')]
  const all = Buffer.concat(messages.map((message) => MessageStream.frame(message)))
  for (const size of [1, 2, 3, 7, 100, 1000]) {
    const stream = new MessageStream()
    const got: Buffer[] = []
    for (let at = 0; at < all.length; at += size) got.push(...stream.push(all.subarray(at, at + size)))
    expect(got).toEqual(messages)
  }
})

test('addresses are read from the names for reverse lookups', () => {
  const read = (name: string) => {
    const address = addressOfReverse(name)
    return address && formatAddress(address)
  }
  expect(read('4.3.2.1.in-addr.arpa')).toBe('1.2.3.4')
  expect(read(`1.${'0.'.repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa`)).toBe('2001:db8::1')
  expect(read('3.2.1.in-addr.arpa')).toBeNull()
  expect(read('04.3.2.1.in-addr.arpa')).toBeNull()
  expect(read('x.ip6.arpa')).toBeNull()
  expect([isReverse('in-addr.arpa'), isReverse('1.ip6.arpa'), isReverse('xip6.arpa')]).toEqual([
    true,
    true,
    false,
  ])
})

test('the name servers of the host are read as the C library reads them', () => {
  const folder = mkdtempSync(join(tmpdir(), 'caisson-resolv-'))
  try {
    const file = join(folder, 'resolv.conf')
    writeFileSync(
      file,
      '# nameserver 9.9.9.9\nnameserver 127.0.0.53\n nameserver\t2606::1 \nnameserver fe80::1%eth0\nnameserver nonsense\nnameserver 8.8.8.8\n',
    )
    expect(systemNameServers(file)).toEqual(['127.0.0.53', '2606::1', 'fe80::1%eth0'])
    expect(systemNameServers(join(folder, 'none'))).toEqual(['127.0.0.1'])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('whatever a sandbox sends is a question that can be answered, an error or nothing', () => {
  const counts = { query: 0, error: 0, nothing: 0 }
  for (let n = 0; n < 20_000; n++) {
    const message = Buffer.from(
      question(n % 2 ? 'www.example.com' : '_a.b-c.test', 'A', n % 3 ? {} : WITH_OPTIONS),
    )
    for (let flips = n % 5; flips > 0; flips--) message[random(message.length)] = random(256)
    const cut = n % 7 ? message : message.subarray(0, random(message.length))
    const query = parseQuery(cut)
    if (query === null) counts.nothing++
    else if (typeof query === 'string') {
      counts.error++
      expect(refuseBytes(cut, query)?.length).toBe(cut.length)
    } else {
      counts.query++
      const answer = encodeAnswer(query, { rcode: 'NXDOMAIN', records: [], reason: 'no' }, query.udpSize)
      expect(decode(answer)).toMatchObject({
        id: query.id,
        questions: [{ name: query.name, type: query.type }],
      })
      expect(answer.length).toBeLessThanOrEqual(query.udpSize)
    }
  }
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(100)
})

const WITH_OPTIONS = {
  additionals: [
    { type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, options: [{ code: 12, length: 8 }] } as never,
  ],
}

function random(below: number): number {
  return Math.floor(Math.random() * below)
}
