import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { Store } from '../store.ts'
import { openSqliteStore } from './index.ts'

let dir: string
let store: Store
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'caisson-plans-'))
  store = await openSqliteStore(dir)
})
afterAll(async () => {
  await store.close()
  rmSync(dir, { recursive: true })
})

const page = { limit: 10, offset: 0, direction: 'desc' } as const
const of = { ...page, sandboxId: 'sbx_a' }

const webLatest = { name: 'web', tag: 'latest' }

/** The store grows with every execution: what is asked often must not look at all of it. */
test.each<[string, () => Promise<unknown>, RegExp]>([
  [
    'the executions of a sandbox',
    () => store.executions.list(of),
    /USING (COVERING )?INDEX executions_sandbox /,
  ],
  ['those that run', () => store.executions.list({ ...of, state: 'running' }), /INDEX executions_open /],
  ['those that have not ended', () => store.executions.open('sbx_a'), /INDEX executions_open /],
  ['jobs', () => store.executions.list({ ...of, kind: 'job' }), /INDEX executions_jobs /],
  ['those with a tag', () => store.executions.list({ ...of, tag: 'x' }), /INDEX executions_tag /],
  ['one by its key', () => store.executions.findByIdempotencyKey('sbx_a', 'k'), /executions_idempotency /],
  ['events', () => store.events.list({ ...of, type: 'create' }), /INDEX events_sandbox /],
  ['events of several types', () => store.events.list({ ...of, type: ['a', 'b'] }), /INDEX events_sandbox /],
  ['destinations', () => store.destinations.list(of), /INDEX destinations_recent /],
  ['the usage of a month', () => store.usage.sum({ start: 0, end: 9, orgId: 'o' }), /PRIMARY KEY \(hour>/],
  ['a name that is taken', () => store.sandboxes.findByName('web'), /INDEX sandboxes_live_name /],
  ['checkpoints', () => store.checkpoints.list(of), /INDEX checkpoints_sandbox /],
  ['a snapshot by name and tag', () => store.snapshots.matching(webLatest), /INDEX snapshots_name_tag /],
  ['a snapshot by tag', () => store.snapshots.matching({ tag: 'latest' }), /INDEX snapshots_tag /],
  ['a session by name', () => store.sessions.findByName('web'), /INDEX sessions_name /],
  ['the usage of a sandbox', () => store.usage.ofSandbox('sbx_a'), /INDEX usage_sandbox /],
])('%s are found by an index', async (_what, ask, index) => {
  const plans = await plansOf(ask)
  expect(plans.length).toBeGreaterThan(0)
  for (const plan of plans) {
    expect(plan).toMatch(index)
    expect(plan).not.toMatch(/SCAN|TEMP B-TREE/)
  }
})

/** How SQLite runs each of the statements that `ask` uses. */
async function plansOf(ask: () => Promise<unknown>): Promise<string[]> {
  const prepare = vi.spyOn(DatabaseSync.prototype, 'prepare')
  let statements: string[]
  try {
    await ask()
    statements = prepare.mock.calls.map(([sql]) => sql)
  } finally {
    prepare.mockRestore()
  }
  const database = new DatabaseSync(join(dir, 'caisson.db'), { readOnly: true })
  try {
    return statements.map((sql) => {
      const steps = database
        .prepare(`explain query plan ${sql}`)
        .all(...Array(sql.split('?').length - 1).fill(1))
      return steps.map(({ detail }) => String(detail)).join('\n')
    })
  } finally {
    database.close()
  }
}
