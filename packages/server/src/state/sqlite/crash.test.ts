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
const page = { limit: 10, offset: 0, direction: 'asc' } as const

test(`a server killed ${ROUNDS} times while it writes loses nothing that it acknowledged`, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'caisson-crash-'))
  try {
    for (let round = 0; round < ROUNDS; round++) {
      // Different numbers, so that the kill meets different moments; the largest pass a checkpoint of the WAL.
      const acknowledged = await killedAfter(dir, 1 + ((round * 97) % 500))
      const store = await openSqliteStore(dir)
      try {
        const named = await store.namedSaves()
        for (const line of acknowledged) expect(await isKept(store, named, line), line).toBe(true)
        expect(await untold(store)).toEqual([])
        const tagged = await store.snapshots.matching({ name: 'web', tag: 'latest' })
        const { total } = await store.snapshots.list({ ...page, sort: 'created' })
        expect(tagged).toHaveLength(Math.min(total, 1))
        const sessions = await store.sessions.list({ ...page, sort: 'created' })
        expect(await store.sandboxes.inStates(['paused'])).toHaveLength(sessions.total)
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

/** @param named the saves that some record names: what is in none of them is garbage. */
async function isKept(store: Store, named: Set<string>, line: string): Promise<boolean> {
  const [what, id = '', ...more] = line.split(' ')
  if (what === 'sandbox') return (await store.sandboxes.get(id)) !== null
  if (what === 'session')
    return (await store.sessions.get(id)) !== null && (await store.sandboxes.get(more[0]!)) !== null
  if (what === 'snapshot') return (await store.snapshots.get(id)) !== null && named.has(more[0]!)
  if (what === 'checkpoint') {
    const [sandbox, save] = more as [string, string]
    return (await store.checkpoints.find(sandbox, id)) !== null && named.has(save)
  }
  if (what === 'stopping') return (await store.sandboxes.get(id))?.state === 'stopping'
  const execution = await store.executions.get(id)
  return what === 'execution' ? execution !== null : execution?.exitCode === 3
}

/** Sandboxes with more, or fewer, events than things that happened to them. */
async function untold(store: Store): Promise<string[]> {
  const wrong: string[] = []
  for (const { id, state } of await store.sandboxes.inStates(['ready', 'stopping'])) {
    const [execution] = (await store.executions.list({ ...page, sandboxId: id })).items
    const checkpoints = await store.checkpoints.list({ ...page, sandboxId: id })
    const saved = checkpoints.total > 0
    const happened = [
      true,
      execution !== undefined,
      saved,
      execution?.state === 'ended',
      state === 'stopping',
    ]
    const { total } = await store.events.list({ ...page, sandboxId: id })
    if (total !== happened.filter(Boolean).length) wrong.push(id)
  }
  return wrong
}
