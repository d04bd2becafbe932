import { SandboxError } from '@caisson/protocol/errors'
import type { NetworkAsked } from '@caisson/protocol/resources'
import { expect, test } from 'vitest'
import { parseNetwork, permitRanges, showNetwork } from './rules.ts'

const parse = (asked: NetworkAsked | undefined, permit: string[] = []) => parseNetwork(asked, { permit })
const OPEN = {
  default: 'allow',
  allow: [],
  deny: [],
  learn: false,
  uploadBytesPerSecond: null,
  downloadBytesPerSecond: null,
  connections: null,
}

function issuesOf(asked: NetworkAsked, permit: string[] = []) {
  try {
    parse(asked, permit)
  } catch (error) {
    if (error instanceof SandboxError)
      return (error.details as { issues: { path: string; message: string }[] }).issues
    throw error
  }
  return []
}

test('no network is nothing, and true is the public internet', () => {
  expect(parse(undefined)).toBeNull()
  expect(parse(false)).toBeNull()
  expect(parse(true)).toEqual(OPEN)
  expect(parse({})).toEqual(OPEN)
})

test('the default is deny when there is an allow list, even an empty one', () => {
  expect(parse({ allow: [] })).toEqual({ ...OPEN, default: 'deny' })
  expect(parse({ allow: ['a.com'], default: 'allow' })?.default).toBe('allow')
  expect(parse({ deny: ['a.com'] })?.default).toBe('allow')
  expect(parse({ default: 'deny' })?.default).toBe('deny')
})

test('entries are canonical, sorted and told once', () => {
  const record = parse({
    allow: ['b.com', 'B.COM.', 'a.com:22', '::ffff:8.8.8.8', '8.8.8.8/32'],
    deny: ['*.B.com'],
  })
  expect(record).toMatchObject({ allow: ['8.8.8.8', 'a.com:22', 'b.com'], deny: ['*.b.com'] })
})

test('limits are bytes and a number', () => {
  expect(parse({ upload: '1Mi', download: '10M', connections: 5 })).toEqual({
    ...OPEN,
    uploadBytesPerSecond: 1_048_576,
    downloadBytesPerSecond: 10_000_000,
    connections: 5,
  })
  expect(issuesOf({ upload: '10' })).toMatchObject([{ path: 'network.upload' }])
  expect(issuesOf({ download: 'fast' })).toMatchObject([{ path: 'network.download' }])
})

test('every wrong entry is told with its place', () => {
  const issues = issuesOf({
    allow: ['a.com', 'https://a.com', '*'],
    deny: ['1.2.3.4/8', 'a.com', 'b.com:22'],
  })
  expect(issues.map(({ path }) => path)).toEqual([
    'network.allow[1]',
    'network.allow[2]',
    'network.deny[0]',
    'network.deny[2]',
    'network.deny[1]',
  ])
  expect(issues[4]?.message).toBe('"a.com" is also in network.allow[0]; remove one of them')
  expect(issues[3]?.message).toContain('write "b.com"')
})

test.each([
  ['10.1.2.3', 'is a private address'],
  ['192.168.0.0/16', 'is a range of private addresses'],
  ['169.254.169.254', 'is a metadata service'],
  ['168.63.129.16', 'is a metadata service'],
  ['100.100.100.200', 'is a metadata service'],
  ['fd00:ec2::254', 'is a metadata service'],
  ['::ffff:10.0.0.1', 'is a private address'],
  ['::1', 'is a loopback address'],
  ['0.0.0.0', 'address of this network'],
  ['fe80::/10', 'is a range of link-local addresses'],
])('allowing %s is refused: %s', (entry, message) => {
  const issues = issuesOf({ allow: [entry] })
  expect(issues).toHaveLength(1)
  expect(issues[0]?.message).toContain(message)
  expect(issues[0]?.message).toContain('network.permit')
  expect(issuesOf({ deny: [entry] })).toEqual([])
})

test('what the operator permits may be allowed, metadata only by itself', () => {
  expect(issuesOf({ allow: ['10.1.2.3', '10.0.0.0/8'] }, ['10.1.0.0/16'])).toEqual([])
  expect(issuesOf({ allow: ['10.2.0.0/16'] }, ['10.1.0.0/16'])).toHaveLength(1)
  expect(issuesOf({ allow: ['169.254.169.254'] }, ['169.254.0.0/16'])).toHaveLength(1)
  expect(issuesOf({ allow: ['169.254.169.254'] }, ['169.254.169.254'])).toEqual([])
})

test('a permit that is no range is refused', () => {
  expect(() => permitRanges(['corp.example'])).toThrow(/network.permit\[0\]/)
  expect(permitRanges(['10.0.0.0/8'])).toEqual([
    { first: Uint8Array.of(10, 0, 0, 0), last: Uint8Array.of(10, 255, 255, 255) },
  ])
})

test('rules are shown with their mode', () => {
  expect(showNetwork(null)).toMatchObject({ mode: 'none', default: 'deny', allow: [] })
  expect(showNetwork(parse(true)).mode).toBe('public')
  expect(showNetwork(parse({ upload: '1Mi' }))).toMatchObject({
    mode: 'public',
    uploadBytesPerSecond: 1_048_576,
  })
  expect(showNetwork(parse({ allow: [] })).mode).toBe('rules')
  expect(showNetwork(parse({ learn: true })).mode).toBe('rules')
})
