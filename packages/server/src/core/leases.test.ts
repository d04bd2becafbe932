import { expect, test } from 'vitest'
import { due } from './leases.ts'
import type { PauseRecord } from './records.ts'

const ready = {
  state: 'ready',
  lastActiveAt: 1000,
  idleTimeoutMs: 500,
  expiresAt: 9000,
  onTimeout: 'kill',
  pause: null,
  pausedTimeoutMs: null,
  bootedAt: 800,
  pauseAfterMs: null,
} as const
const never = { ...ready, idleTimeoutMs: null, expiresAt: null }

test('a sandbox is due when it was idle for its timeout, or at its end of life, whichever is first', () => {
  expect(due(ready, false)).toEqual({ at: 1500, reason: 'idle-timeout', action: 'end' })
  expect(due({ ...ready, expiresAt: 1400 }, false)).toEqual({ at: 1400, reason: 'expired', action: 'end' })
  expect(due({ ...ready, expiresAt: 1500 }, false)).toEqual({ at: 1500, reason: 'expired', action: 'end' })
  expect(due({ ...ready, expiresAt: null }, false)).toMatchObject({ at: 1500, reason: 'idle-timeout' })
})

test('the idle time stands still while something runs; the end of life does not', () => {
  expect(due(ready, true)).toMatchObject({ at: 9000, reason: 'expired' })
  expect(due({ ...ready, expiresAt: null }, true)).toBeNull()
})

test('without a timeout and an end a sandbox is never due', () => {
  expect(due(never, false)).toBeNull()
  expect(due({ ...ready, idleTimeoutMs: null }, false)).toMatchObject({ at: 9000, reason: 'expired' })
})

test('a sandbox that is to be paused when its time is over is not ended', () => {
  const paused = { ...ready, onTimeout: 'pause' } as const
  expect(due(paused, false)).toEqual({ at: 1500, reason: 'idle-timeout', action: 'pause' })
  expect(due(paused, true)).toEqual({ at: 9000, reason: 'expired', action: 'pause' })
})

test('a session is paused some time after its start, when nothing runs, whatever its timeouts do', () => {
  const session = { ...never, pauseAfterMs: 600 }
  expect(due(session, false)).toEqual({ at: 1400, reason: 'session', action: 'pause' })
  expect(due(session, true)).toBeNull()
  expect(due({ ...session, bootedAt: null }, false)).toBeNull()
  expect(due({ ...session, idleTimeoutMs: 399 }, false)).toMatchObject({ at: 1399, action: 'end' })
  expect(due({ ...session, idleTimeoutMs: 401 }, false)).toMatchObject({ at: 1400, action: 'pause' })
})

test('a paused sandbox is ended when it was paused for too long, and for no other reason', () => {
  const pause: PauseRecord = { depth: 'memory', memory: 'ram', since: 2000, ttlLeftMs: 5 }
  const paused = { ...ready, state: 'paused', pause, pauseAfterMs: 1 } as const
  expect(due(paused, false)).toBeNull()
  const limited = { ...paused, pausedTimeoutMs: 300 }
  expect(due(limited, false)).toEqual({ at: 2300, reason: 'paused-timeout', action: 'end' })
  expect(due({ ...limited, onTimeout: 'pause' }, true)).toMatchObject({ at: 2300, action: 'end' })
  expect(due({ ...limited, state: 'ready', pause: null }, true)).toMatchObject({ reason: 'expired' })
})

test.each(['creating', 'pausing', 'resuming', 'stopping', 'terminated', 'failed'] as const)(
  'a %s sandbox has no lease',
  (state) => {
    const pause: PauseRecord = { depth: 'filesystem', memory: 'none', since: 0, ttlLeftMs: null }
    expect(due({ ...ready, state, pausedTimeoutMs: 1, pauseAfterMs: 1 }, false)).toBeNull()
    expect(due({ ...ready, state, pause, pausedTimeoutMs: 1, pauseAfterMs: 1 }, false)).toBeNull()
  },
)
