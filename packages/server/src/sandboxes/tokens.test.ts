import { randomBytes } from 'node:crypto'
import { afterEach, expect, test, vi } from 'vitest'
import type { SandboxRecord } from '../core/records.ts'
import type { Live } from './live.ts'
import { isSame, tokenUseCases } from './tokens.ts'

const record = (id: string, internal: SandboxRecord['internal'] = null) => ({ id, internal }) as SandboxRecord
const A = 'sbx_aaaaaaaaaaaaaaaaaaaa'
const B = 'sbx_bbbbbbbbbbbbbbbbbbbb'
const BUILDER = 'sbx_cccccccccccccccccccc'
const key = randomBytes(32)

function useCases(signingKey = key) {
  const live = new Map(
    [A, BUILDER].map((id) => [id, { record: record(id, id === A ? null : 'build') } as Live]),
  )
  return tokenUseCases({ signingKey, live, paused: new Map([[B, record(B)]]) })
}

afterEach(() => void vi.useRealTimers())

test('a token is that of one sandbox and one purpose, and the same after a restart', () => {
  const { sandboxTokens, admittedBy } = useCases()
  const { access, traffic } = sandboxTokens(A)
  expect(useCases().sandboxTokens(A)).toEqual({ access, traffic })
  expect(useCases(randomBytes(32)).sandboxTokens(A).access).not.toBe(access)
  expect(admittedBy(access)).toBe(A)
  expect(useCases(randomBytes(32)).admittedBy(access)).toBeNull()
  for (const no of [
    '',
    traffic,
    access.slice(1),
    `${access}A`,
    ` ${access}`,
    access.replace('iaaaa', 'ibaaa'),
  ])
    expect(admittedBy(no)).toBeNull()
  for (let at = 0; at < access.length; at++) {
    const changed = `${access.slice(0, at)}${access[at] === 'x' ? 'y' : 'x'}${access.slice(at + 1)}`
    expect(admittedBy(changed)).toBeNull()
  }
})

test('a token survives its sandbox: who asks has to look whether that lives', () => {
  const { sandboxTokens, admittedBy } = useCases()
  const ended = 'sbx_dddddddddddddddddddd'
  expect(admittedBy(sandboxTokens(ended).access)).toBe(ended)
})

test('a signature finds the sandbox, paused or not, but none of the server itself', () => {
  const { sandboxTokens, whoseToken } = useCases()
  for (const id of [A, B]) expect(whoseToken((token) => token === sandboxTokens(id).access)).toBe(id)
  expect(whoseToken((token) => token === sandboxTokens(BUILDER).access)).toBeNull()
  const asked: string[] = []
  whoseToken((token) => asked.push(token) > 0)
  expect(asked.length).toBe(2)
})

test('a token of a volume opens that volume', () => {
  const { volumeToken, admittedToVolume } = useCases()
  expect(admittedToVolume(volumeToken('vol_a'), 'vol_a')).toBe(true)
  expect(admittedToVolume(volumeToken('vol_a'), 'vol_b')).toBe(false)
  expect(admittedToVolume('', 'vol_a')).toBe(false)
})

test('a capability for files of a build opens once, within an hour', () => {
  vi.useFakeTimers()
  const { buildFilesToken, buildFilesOf } = useCases()
  const [first, second, late] = [buildFilesToken('h'), buildFilesToken('h'), buildFilesToken('i')] as const
  expect(buildFilesOf(first)).toBe('h')
  expect(buildFilesOf(first)).toBeNull()
  expect(buildFilesOf(second)).toBe('h')
  expect(buildFilesOf(second.slice(0, -1))).toBeNull()
  vi.advanceTimersByTime(3_600_000)
  expect(buildFilesOf(late)).toBeNull()
})

test('secrets of different lengths are different', () => {
  expect(isSame('a', 'a')).toBe(true)
  expect(isSame('a', 'ab')).toBe(false)
})
