import { expect, test } from 'vitest'
import { assertEnvironment, mergeEnvironment } from './environment.ts'

test('ordinary and guest-only names pass', () => {
  assertEnvironment({ PATH: '/bin', LD_PRELOAD: './x.so', _: '', a1: 'line\nline', ['__proto__']: 'x' })
  assertEnvironment({ A: 'x'.repeat(128 * 1024 - 3) })
})

test.each([
  [{ CAISSON_SANDBOX: 'x' }, 'env.CAISSON_SANDBOX: names that begin with CAISSON_ are reserved'],
  [{ '1A': 'x' }, 'env.1A: a name is letters'],
  [{ 'A=B': 'x' }, 'a name is letters'],
  [{ 'A\nB': 'x' }, 'a name is letters'],
  [{ '': 'x' }, 'a name is letters'],
  [{ Ä: 'x' }, 'a name is letters'],
  [{ A: 'x\0y' }, 'must not contain NUL'],
  [{ A: 'x'.repeat(128 * 1024 - 2) }, 'longer than 131071 bytes'],
  [{ A: 'ü'.repeat(65_536) }, 'longer than 131071 bytes'],
])('refuses %.40j', (environment, message) => {
  expect(() => assertEnvironment(environment as Record<string, string>)).toThrow(message)
})

test('a later layer wins, and the server has the last word', () => {
  const merged = mergeEnvironment(
    { sandbox: 'sbx_1', tty: true },
    { A: '1', B: '1', CAISSON_SANDBOX: 'no' },
    { B: '2' },
  )
  expect(merged).toEqual({ A: '1', B: '2', TERM: 'xterm-256color', CAISSON_SANDBOX: 'sbx_1' })
  expect(mergeEnvironment({ sandbox: 's', tty: true }, { TERM: 'dumb' }).TERM).toBe('dumb')
  expect(mergeEnvironment({ sandbox: 's', tty: false })).toEqual({ CAISSON_SANDBOX: 's' })
})
