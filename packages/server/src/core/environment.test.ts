import { expect, test } from 'vitest'
import { assertEnvironment, assertFits, changeEnvironment, mergeEnvironment } from './environment.ts'

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

test('a change sets and deletes, and leaves the rest', () => {
  const before = { A: '1', B: '2' }
  expect(changeEnvironment(before, { A: null, C: '3', ['__proto__']: 'own' })).toEqual({
    B: '2',
    C: '3',
    ['__proto__']: 'own',
  })
  expect(changeEnvironment(before, { Z: null })).toEqual(before)
  expect(before).toEqual({ A: '1', B: '2' })
})

test.each([{ CAISSON_X: '1' }, { CAISSON_SANDBOX: null }, { 'A=B': null }, { A: '\0' }])(
  'a change by %j is refused',
  (change) => {
    expect(() => changeEnvironment({}, change as Record<string, string | null>)).toThrow('env.')
  },
)

test('all variables together fit the message that starts a command', () => {
  const half = { A: 'x'.repeat(100_000) }
  expect(() => changeEnvironment(half, { B: 'x'.repeat(100_000) })).toThrow('all variables together')
  expect(() => changeEnvironment(half, { A: null, B: 'x'.repeat(100_000) })).not.toThrow()
  const many = Object.fromEntries(Array.from({ length: 4097 }, (_, index) => [`V${index}`, '']))
  expect(() => assertFits(many)).toThrow('more than 4096 variables')
})
