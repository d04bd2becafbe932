import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import type { Store } from '../store.ts'
import { openSqliteStore } from './index.ts'

const ROUNDS = 20

test(`a server killed ${ROUNDS} times while it writes loses nothing that it acknowledged`, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'caisson-crash-'))
  try {
    for (let round = 0; round < ROUNDS; round++) {
      // Different numbers, so that the kill meets different moments; the largest pass a checkpoint of the WAL.
      const acknowledged = await killedAfter(dir, 1 + ((round * 97) % 500))
      const store = await openSqliteStore(dir)
      try {
        for (const line of acknowledged) expect(await isKept(store, line), line).toBe(true)
        expect(await untold(store)).toEqual([])
      } finally {
        await store.close()
      }
    }
  } finally {
    rmSync(dir, { recursive: true })
  }
}, 120_000)

async function killedAfter(dir: string, writes: number): Promise<string[]> {
  const child: ChildProcess = spawn(process.execPath, [join(import.meta.dirname, 'crash-writer.ts'), dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  const exited = once(child, 'exit')
  for await (const line of createInterface(child.stdout!)) {
    lines.push(line)
    if (lines.length === writes) child.kill('SIGKILL')
  }
  expect(await exited).toEqual([null, 'SIGKILL'])
  return lines
}

async function isKept(store: Store, line: string): Promise<boolean> {
  const [what, id = ''] = line.split(' ')
  if (what === 'sandbox') return (await store.sandboxes.get(id)) !== null
  if (what === 'stopping') return (await store.sandboxes.get(id))?.state === 'stopping'
  const execution = await store.executions.get(id)
  return what === 'execution' ? execution !== null : execution?.exitCode === 3
}

/** Sandboxes with more, or fewer, events than things that happened to them. */
async function untold(store: Store): Promise<string[]> {
  const page = { limit: 10, offset: 0, direction: 'asc' } as const
  const wrong: string[] = []
  for (const { id, state } of await store.sandboxes.inStates(['ready', 'stopping'])) {
    const [execution] = (await store.executions.list({ ...page, sandboxId: id })).items
    const happened = [true, execution !== undefined, execution?.state === 'ended', state === 'stopping']
    const { total } = await store.events.list({ ...page, sandboxId: id })
    if (total !== happened.filter(Boolean).length) wrong.push(id)
  }
  return wrong
}
