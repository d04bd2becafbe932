import { expect, test } from 'vitest'
import { refuseLater, resolveResources } from './spec.ts'

const GiB = 1024 ** 3
const host = { memoryBytes: 8 * GiB, cpus: 4 }
const all = { enforced: ['memoryBytes', 'cpuMillis', 'pids'], quota: true, maxDiskBytes: 100 * GiB } as const
const none = { enforced: [], quota: false } as const
const defaults = { memory: '4Gi', cpu: '2', disk: '10Gi', pids: 1024 }

test('grants the defaults, cut to what the host has', () => {
  const granted = { memoryBytes: 4 * GiB, cpuMillis: 2000, pids: 1024, diskBytes: 10 * GiB }
  expect(resolveResources({}, host, all, defaults)).toEqual(granted)
  const small = { memoryBytes: GiB, cpus: 1 }
  expect(resolveResources({}, small, all, defaults)).toEqual({
    ...granted,
    memoryBytes: GiB,
    cpuMillis: 1000,
  })
  const narrow = { ...all, maxDiskBytes: GiB }
  expect(resolveResources({}, host, narrow, defaults).diskBytes).toBe(GiB)
})

test('grants exactly what is asked for', () => {
  const asked = { memory: '16Mi', cpu: '10m', pids: 8, disk: '1G' }
  const granted = { memoryBytes: 16 * 1024 ** 2, cpuMillis: 10, pids: 8, diskBytes: 1e9 }
  expect(resolveResources(asked, host, all, defaults)).toEqual(granted)
  const whole = resolveResources({ memory: '8Gi', cpu: '4' }, host, all, defaults)
  expect(whole).toMatchObject({ memoryBytes: 8 * GiB, cpuMillis: 4000 })
})

test.each([
  [{ memory: '8.1Gi' }, 'resources.memory: ', 'more than this host has, which is 8Gi'],
  [{ memory: '15Mi' }, 'resources.memory: ', 'less than the minimum of 16Mi'],
  [{ cpu: '4001m' }, 'resources.cpu: ', 'more than this host has, which is 4'],
  [{ cpu: '9m' }, 'resources.cpu: ', 'less than the minimum of 10m'],
  [{ pids: 5_000_000 }, 'resources.pids: ', 'more than this host has'],
  [{ disk: '1Mi' }, 'resources.disk: ', 'less than the minimum of 16Mi'],
  [{ disk: '101Gi' }, 'resources.disk: ', 'more than the storage has, which is 100Gi'],
  [{ memory: 'much' }, 'resources.memory: ', 'no number of bytes'],
])('refuses %j', (asked, path, message) => {
  const resolve = () => resolveResources(asked, host, all, defaults)
  expect(resolve).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  expect(resolve).toThrow(path)
  expect(resolve).toThrow(message)
})

test('refuses a limit that nothing enforces, and tells the whole host where none was asked for', () => {
  for (const asked of [{ memory: '1Gi' }, { cpu: '1' }, { pids: 100 }, { disk: '1Gi' }]) {
    const resolve = () => resolveResources(asked, host, none, defaults)
    expect(resolve).toThrow(expect.objectContaining({ code: 'not_supported' }))
  }
  const granted = { memoryBytes: 8 * GiB, cpuMillis: 4000, pids: 4_194_304, diskBytes: null }
  expect(resolveResources({}, host, none, defaults)).toEqual(granted)
})

test('refuses scopes with the reason', () => {
  const refuse = () => refuseLater({ scopes: ['read'] })
  expect(refuse).toThrow(expect.objectContaining({ code: 'not_supported' }))
  expect(refuse).toThrow(/^scopes is not supported here: .+\.$/)
})

test('asking for nothing is no refusal', () => {
  refuseLater({})
  refuseLater({ scopes: [] })
})
