import { expect, test } from 'vitest'
import type { ExecutionRecord } from '../core/records.ts'
import type { GuestExit } from '../guest/guest.ts'
import { judge } from './supervise.ts'

const usage = { cpuUsec: 1, maxRssBytes: 1 }
const exited = (code: number): GuestExit => ({ code, ...usage })
const killed = (signal: string): GuestExit => ({ signal, ...usage })
type Reason = ExecutionRecord['killReason']

// Why it was killed, how it ended, memory kills meanwhile → the ending and the exit code.
const ROWS: [Reason, GuestExit, number, string, number | null][] = [
  [null, exited(0), 0, 'exited', 0],
  [null, exited(255), 0, 'exited', 255],
  [null, exited(137), 1, 'exited', 137],
  [null, killed('SIGSEGV'), 0, 'signalled', null],
  [null, killed('SIGKILL'), 0, 'signalled', null],
  [null, killed('SIGKILL'), 1, 'out-of-memory', null],
  [null, killed('SIGTERM'), 1, 'signalled', null],
  ['cancelled', killed('SIGTERM'), 0, 'cancelled', null],
  ['cancelled', killed('SIGKILL'), 1, 'cancelled', null],
  ['cancelled', exited(0), 0, 'exited', 0],
  ['timeout', killed('SIGTERM'), 0, 'execution-timeout', null],
  ['timeout', killed('SIGKILL'), 1, 'execution-timeout', null],
  ['timeout', exited(0), 0, 'execution-timeout', null],
]

test.each(ROWS)(
  'killed: %s, exit: %o, memory kills: %i → %s',
  (killReason, exit, kills, ending, exitCode) => {
    const judged = judge({ killReason, timeoutMs: 5 }, exit, kills)
    expect(judged).toMatchObject({ ending, exitCode })
    expect(judged.exitCode !== null).toBe(judged.ending === 'exited')
    if (judged.ending !== 'exited') expect(judged.message).not.toBeNull()
  },
)
