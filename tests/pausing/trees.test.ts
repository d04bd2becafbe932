import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Sandbox } from 'caisson'
import { describe, expect } from 'vitest'
import { cannotRun } from '../crash/host.ts'
import { test } from '../fixture.ts'

const TREES = readFileSync(join(import.meta.dirname, 'trees.py'), 'utf8')
const TIMES = 20
const MAX_MS = 400_000

/** Holds a file open that has no name any more, and tells its content when it is asked to. */
const HOLDER = `
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
held = open('deleted', 'w+')
held.write('still there')
held.flush()
os.unlink('deleted')
print('ready', flush=True)
signal.sigwait([signal.SIGUSR1])
held.seek(0)
print(held.read())
`

describe.skipIf(cannotRun !== null).for(['filesystem', 'memory'] as const)(
  'a sandbox that is paused to its %s and resumed',
  (depth) => {
    test(`has the same tree ${TIMES} times`, { timeout: MAX_MS }, async ({ server }) => {
      await using box = await Sandbox.create({ client: server.client() })
      const python = (args: string[]) => box.exec(['python3', '-c', TREES, ...args])
      const digest = async () => {
        const { stdout, stderr, exitCode } = await python(['digest', 'tree'])
        expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
        return stdout
      }
      expect(await python(['make', 'tree'])).toMatchObject({ stderr: '', exitCode: 0 })
      const before = await digest()
      expect(before).toMatch(/^[0-9a-f]{64}\n$/)
      const holder = await box.start(['python3', '-c', HOLDER])
      for (let time = 1; time <= TIMES; time++) {
        await box.pause({ depth })
        // Every other time the command itself resumes it.
        if (time % 2 === 0) await box.resume()
        expect(await digest(), `after ${time} times`).toBe(before)
      }
      const { ending } = await server.client().call('getExecution', { execution: holder.id })
      expect(ending).toBe(depth === 'memory' ? null : 'sandbox-ended')
      if (depth === 'filesystem') return
      await server
        .client()
        .call('killExecution', { execution: holder.id, signal: 'SIGUSR1', scope: 'leader' })
      expect((await holder.wait()).stdout).toBe('ready\nstill there\n')
    })
  },
)
