import { expect, test } from 'vitest'
import { due } from './leases.ts'

const ready = { state: 'ready', lastActiveAt: 1000, idleTimeoutMs: 500, expiresAt: 9000 } as const

test('a sandbox is due when it was idle for its timeout, or at its end of life, whichever is first', () => {
  expect(due(ready, false)).toEqual({ at: 1500, reason: 'idle-timeout' })
  expect(due({ ...ready, expiresAt: 1400 }, false)).toEqual({ at: 1400, reason: 'expired' })
  expect(due({ ...ready, expiresAt: 1500 }, false)).toEqual({ at: 1500, reason: 'expired' })
  expect(due({ ...ready, expiresAt: null }, false)).toEqual({ at: 1500, reason: 'idle-timeout' })
})

test('the idle time stands still while something runs; the end of life does not', () => {
  expect(due(ready, true)).toEqual({ at: 9000, reason: 'expired' })
  expect(due({ ...ready, expiresAt: null }, true)).toBeNull()
})

test('without a timeout and an end a sandbox is never due', () => {
  expect(due({ ...ready, idleTimeoutMs: null, expiresAt: null }, false)).toBeNull()
  expect(due({ ...ready, idleTimeoutMs: null }, false)).toEqual({ at: 9000, reason: 'expired' })
})

test.each(['creating', 'stopping', 'terminated', 'failed'] as const)('a %s sandbox has no lease', (state) => {
  expect(due({ ...ready, state }, false)).toBeNull()
})
