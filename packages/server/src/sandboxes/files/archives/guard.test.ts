import { SandboxError } from '@caisson/protocol/errors'
import { describe, expect, test } from 'vitest'
import { ArchiveGuard } from './guard.ts'

const LIMITS = { bytes: 1000, entries: 3, ratio: 10, ratioFrom: 100 }

function refusal(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (SandboxError.is(error, 'archive_refused')) return `${error.details.entry}: ${error.details.reason}`
    throw error
  }
  return 'taken'
}

describe('names', () => {
  test.each([
    ['a', 'a'],
    ['./a//b/.', 'a/b'],
    ['a/', 'a'],
    ['-rf', '-rf'],
    ['a\\b', 'a\\b'],
    ['...', '...'],
    ['..a/b..', '..a/b..'],
    ['.', null],
    ['./', null],
  ])('%s is %s', (name, path) => {
    expect(new ArchiveGuard().enter(name)).toBe(path)
  })

  test.each([
    '',
    '/',
    '/a',
    '..',
    'a/..',
    '../a',
    'a/../../b',
    'a\0b',
    `${'x'.repeat(4096)}`,
    'ü'.repeat(2048),
  ])('%j is refused', (name) => {
    expect(refusal(() => new ArchiveGuard().enter(name))).toMatch(/: its name/)
  })
})

test('entries are counted whatever they are', () => {
  const guard = new ArchiveGuard(LIMITS)
  for (const name of ['a', '.', 'b']) guard.enter(name)
  expect(refusal(() => guard.enter('c'))).toBe('c: it has more than 3 entries')
})

test('bytes and the ratio are counted together', () => {
  const guard = new ArchiveGuard(LIMITS)
  guard.enter('a')
  guard.expanded(100, 1)
  expect(refusal(() => guard.expanded(1, 1))).toBe('a: the archive expands to more than 10 times its size')
  guard.expanded(800, 1000)
  expect(refusal(() => guard.expanded(100, 1000))).toBe('a: the archive expands to more than 1000 bytes')
  expect(refusal(() => new ArchiveGuard(LIMITS).expanded(Number.NaN, 1))).toMatch(/1000 bytes/)
})

test('a refusal says how many entries were written and shortens what it quotes', () => {
  const guard = new ArchiveGuard()
  guard.enter('x'.repeat(1000))
  guard.files = 3
  guard.links = 1
  const { details } = guard.refusal('why')
  expect([details.entries, details.entry.length]).toEqual([4, 301])
})
