import { expect, test } from 'vitest'
import { STATES } from './lifecycle.ts'
import { sessionStatus } from './session-status.ts'

const kept = { deletedAt: null }

test('a session is what its sandbox is', () => {
  const shown = STATES.map((state) => [
    state,
    sessionStatus(kept, { state, bootedAt: null }),
    sessionStatus(kept, { state, bootedAt: 1 }),
  ])
  expect(shown).toEqual([
    ['creating', 'active', 'active'],
    ['ready', 'active', 'active'],
    ['pausing', 'recorded', 'paused'],
    ['paused', 'recorded', 'paused'],
    ['resuming', 'active', 'active'],
    ['stopping', 'deleted', 'deleted'],
    ['terminated', 'deleted', 'deleted'],
    ['failed', 'deleted', 'deleted'],
  ])
})

test('a deleted session, and one whose sandbox is forgotten, are deleted', () => {
  for (const state of STATES) expect(sessionStatus({ deletedAt: 1 }, { state, bootedAt: 1 })).toBe('deleted')
  expect(sessionStatus(kept, null)).toBe('deleted')
})
