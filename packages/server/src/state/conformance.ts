import { SandboxError } from '@caisson/protocol/errors'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LIVE_STATES } from '../core/lifecycle.ts'
import type { ExecutionRecord } from '../core/records.ts'
import type { Declare } from './conformance/declare.ts'
import { checkpointPromises, layerPromises } from './conformance/saves.ts'
import { sessionPromises } from './conformance/sessions.ts'
import { snapshotPromises } from './conformance/snapshots.ts'
import { templatePromises } from './conformance/templates.ts'
import { volumePromises } from './conformance/volumes.ts'
import {
  aCheckpoint,
  aDestination,
  aKey,
  anEvent,
  anExecution,
  anSshKey,
  aSandbox,
  aSession,
  aUsage,
} from './fixtures.ts'
import type { SandboxQuery, Store } from './store.ts'

const page = { sort: 'created', direction: 'asc', limit: 100, offset: 0 } as const

/**
 * What every store must do. `skips` names tests that an implementation is excused from, each with its reason.
 * @param open makes an empty store
 */
export function storeSuite(
  name: string,
  open: () => Promise<Store>,
  skips: Record<string, string> = {},
): void {
  const promise = (title: string, body: (store: Store) => Promise<void>) => {
    const reason = skips[title]
    test(reason === undefined ? title : `${title} (skipped: ${reason})`, { skip: reason !== undefined }, () =>
      body(store),
    )
  }
  let store: Store

  describe(`${name} store`, () => {
    beforeEach(async () => {
      store = await open()
    })
    afterEach(() => store.close())
    sandboxPromises(promise)
    listPromises(promise)
    executionPromises(promise)
    eventPromises(promise)
    usagePromises(promise)
    destinationPromises(promise)
    keyPromises(promise)
    sshKeyPromises(promise)
    checkpointPromises(promise)
    snapshotPromises(promise)
    sessionPromises(promise)
    layerPromises(promise)
    volumePromises(promise)
    templatePromises(promise)
  })
}

function sandboxPromises(promise: Declare): void {
  promise('gives back what was put in', async ({ sandboxes }) => {
    const full = aSandbox({
      name: 'web',
      description: 'with "quotes", ünïcode, \u0000 and \n lines',
      metadata: { 'a.b"c': 'd\u0000e', ['__proto__']: 'x', $: '' },
      env: { PATH: '/bin', EMPTY: '' },
      asked: { memory: '1Gi', pids: 64 },
      granted: { memoryBytes: 2 ** 40, cpuMillis: 500, pids: 64, diskBytes: 2 ** 45 },
      network: {
        default: 'deny',
        allow: ['*.example.com', '2001:db8::/32'],
        deny: [],
        learn: false,
        uploadBytesPerSecond: 2 ** 40,
        downloadBytesPerSecond: null,
        connections: 7,
      },
      rulesDigest: 'cd',
      ports: [{ port: 3000, access: 'private', since: 1 }],
      trafficBefore: { up: 2 ** 45, down: 1 },
      ending: { reason: 'deleted', message: 'It was deleted.' },
      expiresAt: 1_800_000_000_000,
      layers: ['sav_upper', 'sav_lower'],
      base: 'sav_base',
      snapshotId: 'snp_1',
      forkedFrom: 'sbx_1',
      sessionId: 'ses_1',
      dependencies: ['jq', 'libfoo=1.0'],
      packages: ['@a/b@1'],
      user: 'node',
      pause: { depth: 'memory', memory: 'disk', since: 5, ttlLeftMs: 2 ** 40 },
      onTimeout: 'pause',
      pauseDepth: 'workspace',
      pausedTimeoutMs: 7,
      resumeOnRequest: true,
      bootedAt: null,
      pauseAfterMs: 9,
      restoring: { checkpointId: 'ckpt_1', save: 'sav_1', layers: ['sav_2'], resume: true },
      ttlMs: 2 ** 41,
      idempotencyKey: 'once',
      requestDigest: 'ab',
    })
    await sandboxes.insert(full)
    expect(await sandboxes.get(full.id)).toEqual(full)
    const bare = aSandbox()
    await sandboxes.insert(bare, { durability: 'process' })
    expect(await sandboxes.get(bare.id)).toEqual(bare)
    expect(await sandboxes.get('sbx_none')).toBeNull()
    expect(await sandboxes.findByIdempotencyKey('once')).toEqual(full)
    expect(await sandboxes.findByIdempotencyKey('twice')).toBeNull()
  })

  promise('hands out copies', async ({ sandboxes }) => {
    const box = aSandbox({ metadata: { a: '1' } })
    await sandboxes.insert(box)
    box.metadata.a = '2'
    const read = await sandboxes.get(box.id)
    expect(read?.metadata).toEqual({ a: '1' })
    read!.metadata.a = '3'
    expect((await sandboxes.get(box.id))?.metadata).toEqual({ a: '1' })
  })

  promise('gives a name to one sandbox that has not ended', async ({ sandboxes }) => {
    const first = aSandbox({ name: 'web' })
    await sandboxes.insert(first)
    const refused = expect.objectContaining({
      code: 'name_taken',
      details: { name: 'web', sandbox: first.id },
    })
    await expect(sandboxes.insert(aSandbox({ name: 'web' }))).rejects.toEqual(refused)
    const other = aSandbox({ name: 'api' })
    await sandboxes.insert(other)
    await expect(sandboxes.update(other.id, { name: 'web' })).rejects.toEqual(refused)
    for (const state of LIVE_STATES) {
      await sandboxes.update(first.id, { state })
      await expect(sandboxes.insert(aSandbox({ name: 'web' })), state).rejects.toEqual(refused)
      expect((await sandboxes.findByName('web'))?.id).toBe(first.id)
    }
    await sandboxes.update(first.id, { state: 'terminated', endedAt: 1 })
    expect(await sandboxes.findByName('web')).toBeNull()
    const second = aSandbox({ name: 'web' })
    await sandboxes.insert(second)
    expect((await sandboxes.findByName('web'))?.id).toBe(second.id)
    expect((await sandboxes.get(first.id))?.name).toBe('web')
  })

  promise('gives one of two concurrent inserts a name', async ({ sandboxes }) => {
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => sandboxes.insert(aSandbox({ name: 'web' }))),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  promise('refuses a second live sandbox on the same uid range', async ({ sandboxes }) => {
    const first = aSandbox({ idBase: 131_072 })
    await sandboxes.insert(first)
    for (const state of LIVE_STATES) {
      await sandboxes.update(first.id, { state })
      const second = sandboxes.insert(aSandbox({ idBase: 131_072 }))
      await expect(second, state).rejects.toMatchObject({ code: 'conflict' })
    }
    await sandboxes.update(first.id, { state: 'failed' })
    await sandboxes.insert(aSandbox({ idBase: 131_072 }))
    // 0: a driver without uid ranges.
    await sandboxes.insert(aSandbox({ idBase: 0 }))
    await sandboxes.insert(aSandbox({ idBase: 0 }))
  })

  promise('refuses a second sandbox with an id or idempotency key', async ({ sandboxes }) => {
    const box = aSandbox({ idempotencyKey: 'once' })
    await sandboxes.insert(box)
    await expect(sandboxes.insert(aSandbox({ id: box.id }))).rejects.toMatchObject({ code: 'conflict' })
    const again = aSandbox({ idempotencyKey: 'once' })
    await expect(sandboxes.insert(again)).rejects.toMatchObject({ code: 'conflict' })
    expect(await sandboxes.get(again.id)).toBeNull()
  })

  promise('changes fields and raises the version', async ({ sandboxes }) => {
    const box = aSandbox({ name: 'web', description: 'old', metadata: { a: '1' } })
    await sandboxes.insert(box)
    const changed = await sandboxes.update(box.id, { description: null, metadata: { b: '2' }, updatedAt: 77 })
    expect(changed).toEqual({ ...box, description: null, metadata: { b: '2' }, updatedAt: 77, version: 2 })
    expect(await sandboxes.get(box.id)).toEqual(changed)
    expect((await sandboxes.update(box.id, {})).updatedAt).toBeGreaterThan(77)
  })

  promise('refuses a writer that decided on an older version', async ({ sandboxes }) => {
    const box = aSandbox()
    await sandboxes.insert(box)
    await sandboxes.update(box.id, { description: 'a' }, { ifVersion: 1 })
    const late = sandboxes.update(box.id, { description: 'b' }, { ifVersion: 1, durability: 'process' })
    await expect(late).rejects.toMatchObject({ code: 'conflict' })
    expect((await sandboxes.get(box.id))?.description).toBe('a')
    await expect(sandboxes.update('sbx_none', {})).rejects.toMatchObject({ code: 'sandbox_not_found' })
  })

  promise('lets one of many concurrent writers through', async ({ sandboxes }) => {
    const box = aSandbox()
    await sandboxes.insert(box)
    const writers = Array.from({ length: 16 }, (_, i) =>
      sandboxes.update(box.id, { description: String(i) }, { ifVersion: 1 }),
    )
    const results = await Promise.allSettled(writers)
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect((await sandboxes.get(box.id))?.version).toBe(2)
  })

  promise('keeps what is its own when a whole record is written back', async ({ sandboxes, executions }) => {
    const box = aSandbox()
    await sandboxes.insert(box)
    await executions.insert(anExecution(box.id))
    const whole = { ...box, id: 'sbx_other', description: 'x' }
    const written = await sandboxes.update(box.id, whole)
    expect(written).toMatchObject({ id: box.id, executionCount: 1, description: 'x', version: 2 })
  })

  promise('finds sandboxes by state, oldest first', async ({ sandboxes }) => {
    const boxes = (['creating', 'ready', 'failed', 'ready'] as const).map((state) => aSandbox({ state }))
    for (const box of boxes) await sandboxes.insert(box)
    expect(await sandboxes.inStates(['ready', 'creating'])).toEqual([boxes[0], boxes[1], boxes[3]])
    expect(await sandboxes.inStates([])).toEqual([])
  })

  promise('purges what ended long ago, with its executions', async (store) => {
    const { sandboxes, executions, events, destinations, checkpoints, sessions } = store
    const old = aSandbox({ state: 'terminated', endedAt: 100 })
    const recent = aSandbox({ state: 'failed', endedAt: 200 })
    const live = aSandbox()
    for (const box of [old, recent, live]) await sessions.insert(aSession(box.id), box)
    const [first, second] = [anExecution(old.id), anExecution(recent.id)]
    for (const execution of [first, second]) {
      await executions.insert(execution, { events: [anEvent(execution.sandboxId)] })
      await destinations.add([aDestination(execution.sandboxId)], 10)
      await checkpoints.insert(aCheckpoint(execution.sandboxId, { name: 'a' }))
    }
    expect(await sandboxes.purge(200)).toEqual({ sandboxes: [old.id], executions: [first.id] })
    expect(await sandboxes.get(old.id)).toBeNull()
    expect(await executions.get(first.id)).toBeNull()
    expect(await executions.get(second.id)).toEqual(second)
    expect(await events.list({ ...everyEvent, sandboxId: old.id })).toEqual({ items: [], total: 0 })
    expect(await events.list({ ...everyEvent, sandboxId: recent.id })).toMatchObject({ total: 1 })
    const page = { limit: 10, offset: 0 }
    expect(await destinations.list({ ...page, sandboxId: old.id })).toMatchObject({ total: 0 })
    expect(await destinations.list({ ...page, sandboxId: recent.id })).toMatchObject({ total: 1 })
    expect(await checkpoints.find(old.id, 'a')).toBeNull()
    expect(await checkpoints.find(recent.id, 'a')).not.toBeNull()
    const left = await sessions.list({ ...page, sort: 'created', direction: 'asc', all: true })
    expect(left.items.map(({ session }) => session.sandboxId)).toEqual([recent.id, live.id])
    expect(await sandboxes.purge(200)).toEqual({ sandboxes: [], executions: [] })
  })

  promise('purges more than is forgotten at once', async ({ sandboxes, executions, events }) => {
    const boxes = [aSandbox({ state: 'failed', endedAt: 1 }), aSandbox({ state: 'terminated', endedAt: 2 })]
    for (const box of boxes) await sandboxes.insert(box)
    const many = Array.from({ length: 700 }, (_, i) => anExecution(boxes[i % 2]!.id))
    for (const execution of many) {
      const { sandboxId } = execution
      await executions.insert(execution, { events: [anEvent(sandboxId), anEvent(sandboxId)] })
    }
    const purged = await sandboxes.purge(3)
    expect(purged.sandboxes.toSorted()).toEqual(boxes.map(({ id }) => id).toSorted())
    expect(purged.executions.toSorted()).toEqual(many.map(({ id }) => id).toSorted())
    for (const { id } of boxes)
      expect(await events.list({ ...everyEvent, sandboxId: id })).toMatchObject({ total: 0 })
  })
}

function listPromises(promise: Declare): void {
  const ids = async ({ sandboxes }: Store, query: Partial<SandboxQuery>) =>
    (await sandboxes.list({ ...page, ...query })).items.map(({ id }) => id)

  promise('lists by every filter', async (store) => {
    const a = aSandbox({
      name: 'a',
      projectId: 'p',
      snapshotId: 'snp_1',
      metadata: { team: 'red', tier: '1' },
    })
    const b = aSandbox({ orgId: 'o', sessionId: 'ses_1', mode: 'oneshot', metadata: { team: 'red' } })
    const c = aSandbox({ state: 'terminated', metadata: { team: 'blue' } })
    const d = aSandbox({ state: 'creating' })
    for (const box of [a, b, c, d]) await store.sandboxes.insert(box)
    const cases: [Partial<SandboxQuery>, string[]][] = [
      [{}, [a.id, b.id, c.id, d.id]],
      [{ name: 'a' }, [a.id]],
      [{ projectId: 'p' }, [a.id]],
      [{ orgId: 'o' }, [b.id]],
      [{ snapshotId: 'snp_1' }, [a.id]],
      [{ sessionId: 'ses_1' }, [b.id]],
      [{ sessionId: 'snp_1' }, []],
      [{ mode: 'interactive', states: ['ready'] }, [a.id]],
      [{ states: ['terminated', 'creating'] }, [c.id, d.id]],
      [{ states: [] }, []],
      [{ metadata: { team: 'red' } }, [a.id, b.id]],
      [{ metadata: { team: 'red', tier: '1' } }, [a.id]],
      [{ metadata: { team: '1' } }, []],
      [{ metadata: {} }, [a.id, b.id, c.id, d.id]],
      [{ busy: { ids: [a.id], value: true } }, [a.id, c.id, d.id]],
      [{ busy: { ids: [a.id], value: false }, states: ['ready'] }, [b.id]],
      [{ busy: { ids: [], value: true }, states: ['ready'] }, []],
    ]
    for (const [query, expected] of cases)
      expect(await ids(store, query), JSON.stringify(query)).toEqual(expected)
  })

  promise('tells paused sandboxes by where their memory is', async (store) => {
    const paused = (memory: 'ram' | 'disk' | 'none') =>
      aSandbox({ state: 'paused', pause: { depth: 'memory', memory, since: 1, ttlLeftMs: null } })
    const [ready, ram, disk, none] = [aSandbox(), paused('ram'), paused('disk'), paused('none')]
    for (const box of [ready, ram, disk, none]) await store.sandboxes.insert(box)
    const states: SandboxQuery['states'] = ['paused']
    expect(await ids(store, { states, memory: ['ram'] })).toEqual([ram.id])
    expect(await ids(store, { states, memory: ['disk', 'none'] })).toEqual([disk.id, none.id])
    expect(await ids(store, { states, memory: [] })).toEqual([])
    expect(await ids(store, { memory: ['ram'] })).toEqual([ready.id, ram.id])
    expect(await ids(store, { states })).toEqual([ram.id, disk.id, none.id])
  })

  promise('matches metadata exactly, whatever is in it', async (store) => {
    const keys = [
      'a.b',
      'a"b',
      "a'b",
      '$',
      '$.x',
      '[0]',
      '0',
      'ü',
      '',
      '%',
      '\\',
      'a\u0000b',
      'toString',
      '__proto__',
    ]
    const boxes = keys.map((key) => aSandbox({ metadata: Object.fromEntries([[key, `${key}'"--`]]) }))
    for (const box of boxes) await store.sandboxes.insert(box)
    for (const [i, box] of boxes.entries()) {
      expect(await ids(store, { metadata: box.metadata }), keys[i]).toEqual([box.id])
      expect(await ids(store, { metadata: Object.fromEntries([[keys[i]!, '%']]) })).toEqual([])
    }
  })

  promise('sorts by every field in both directions, nulls last, ties by age', async (store) => {
    const one = aSandbox({ name: 'm', createdAt: 3, updatedAt: 1, state: 'ready', executionCount: 5 })
    const two = aSandbox({ name: null, createdAt: 1, updatedAt: 2, state: 'creating', executionCount: 5 })
    const three = aSandbox({ name: 'b', createdAt: 2, updatedAt: 3, state: 'failed', mode: 'oneshot' })
    for (const box of [one, two, three]) await store.sandboxes.insert(box)
    const [a, b, c] = [one.id, two.id, three.id]
    const cases: [SandboxQuery['sort'], string[], string[]][] = [
      ['name', [c, a, b], [a, c, b]],
      ['created', [b, c, a], [a, c, b]],
      ['updated', [a, b, c], [c, b, a]],
      ['status', [b, c, a], [a, c, b]],
      ['mode', [a, b, c], [c, b, a]],
      ['execution_count', [c, a, b], [b, a, c]],
    ]
    for (const [sort, ascending, descending] of cases) {
      expect(await ids(store, { sort, direction: 'asc' }), sort).toEqual(ascending)
      expect(await ids(store, { sort, direction: 'desc' }), sort).toEqual(descending)
    }
  })

  promise('pages and counts what matches', async (store) => {
    const boxes = Array.from({ length: 7 }, (_, i) => aSandbox({ projectId: i < 5 ? 'p' : 'q' }))
    for (const box of boxes) await store.sandboxes.insert(box)
    const of = (offset: number) => store.sandboxes.list({ ...page, projectId: 'p', limit: 2, offset })
    expect(await of(0)).toMatchObject({ total: 5, items: [{ id: boxes[0]!.id }, { id: boxes[1]!.id }] })
    expect((await of(4)).items.map(({ id }) => id)).toEqual([boxes[4]!.id])
    expect(await of(5)).toEqual({ total: 5, items: [] })
  })
}

function executionPromises(promise: Declare): void {
  promise('gives back executions and counts them on their sandbox', async ({ sandboxes, executions }) => {
    const box = aSandbox({ lastActiveAt: 10 })
    await sandboxes.insert(box)
    const full = anExecution(box.id, {
      argv: ['sh', '-c', 'echo "$1"', 'ü\n'],
      env: { A: '1' },
      tty: { cols: 80, rows: 24 },
      stdin: true,
      kind: 'job',
      tag: 'build "1"',
      pid: 77,
      outputTruncated: true,
      outputLimit: 2 ** 40,
      outputKeep: 'tail',
      outputStart: 2 ** 41,
      autoResumed: true,
      createdAt: 500,
      idempotencyKey: 'once',
    })
    await executions.insert(full)
    expect(await executions.get(full.id)).toEqual(full)
    expect(await executions.findByIdempotencyKey(box.id, 'once')).toEqual(full)
    expect(await executions.findByIdempotencyKey('sbx_other', 'once')).toBeNull()
    await executions.insert(anExecution(box.id, { createdAt: 400 }))
    // Counting raises no version: a writer that has read the record before is not refused.
    const counted = { ...box, executionCount: 2, lastActiveAt: 500 }
    expect(await sandboxes.get(box.id)).toEqual(counted)
    expect(await executions.get('exe_none')).toBeNull()
  })

  promise('leaves nothing of a refused execution', async ({ sandboxes, executions }) => {
    const box = aSandbox()
    await sandboxes.insert(box)
    const first = anExecution(box.id, { idempotencyKey: 'once' })
    await executions.insert(first)
    const lost = expect(executions.insert(anExecution('sbx_none'))).rejects
    await lost.toMatchObject({ code: 'sandbox_not_found' })
    for (const again of [
      anExecution(box.id, { idempotencyKey: 'once' }),
      anExecution(box.id, { id: first.id }),
    ]) {
      await expect(executions.insert(again)).rejects.toMatchObject({ code: 'conflict' })
    }
    expect((await sandboxes.get(box.id))?.executionCount).toBe(1)
    const elsewhere = aSandbox()
    await sandboxes.insert(elsewhere)
    await executions.insert(anExecution(elsewhere.id, { idempotencyKey: 'once' }))
  })

  promise('counts every one of many concurrent executions', async ({ sandboxes, executions }) => {
    const box = aSandbox()
    await sandboxes.insert(box)
    const all = Array.from({ length: 100 }, () => anExecution(box.id))
    const describing = sandboxes.update(box.id, { description: 'meanwhile' }, { ifVersion: 1 })
    await Promise.all([...all.map((execution) => executions.insert(execution)), describing])
    expect(await sandboxes.get(box.id)).toMatchObject({ executionCount: 100, description: 'meanwhile' })
    expect((await executions.list({ sandboxId: box.id, limit: 1, offset: 0, direction: 'asc' })).total).toBe(
      100,
    )
  })

  promise('updates executions and tells the open ones', async ({ sandboxes, executions }) => {
    const box = aSandbox()
    await sandboxes.insert(box)
    const [a, b] = [anExecution(box.id), anExecution(box.id)]
    for (const execution of [a, b]) await executions.insert(execution)
    const ending = { state: 'ended', ending: 'exited', exitCode: 0, outputTruncated: true } as const
    await executions.update(a.id, { ...ending, id: 'exe_other' })
    expect(await executions.get(a.id)).toEqual({ ...a, ...ending })
    expect(await executions.open(box.id)).toEqual([b])
    await expect(executions.update('exe_none', {})).rejects.toMatchObject({ code: 'execution_not_found' })
    await executions.update(b.id, {})
    await executions.remove(b.id)
    await executions.remove(b.id)
    expect(await executions.get(b.id)).toBeNull()
    expect(await executions.open(box.id)).toEqual([])
  })

  promise('lists executions by every filter', async ({ sandboxes, executions }) => {
    const [box, other] = [aSandbox(), aSandbox()]
    for (const one of [box, other]) await sandboxes.insert(one)
    const a = anExecution(box.id, { kind: 'job', tag: 'web', createdAt: 1 })
    const b = anExecution(box.id, { tag: 'web', state: 'running', createdAt: 2 })
    const c = anExecution(box.id, { kind: 'job', state: 'ended', createdAt: 3 })
    const elsewhere = anExecution(other.id, { kind: 'job', tag: 'web', createdAt: 9 })
    for (const execution of [a, b, c, elsewhere]) await executions.insert(execution)
    const cases: [object, ExecutionRecord[]][] = [
      [{ state: 'pending' }, [a]],
      [{ state: 'running' }, [b]],
      [{ state: 'ended' }, [c]],
      [{ kind: 'job' }, [a, c]],
      [{ kind: 'command' }, [b]],
      [{ tag: 'web' }, [a, b]],
      [{ tag: '' }, []],
      [{ since: 2 }, [b, c]],
      [{ kind: 'job', tag: 'web', state: 'pending', since: 1 }, [a]],
    ]
    const query = { sandboxId: box.id, limit: 10, offset: 0, direction: 'asc' } as const
    for (const [filter, items] of cases) {
      const listed = await executions.list({ ...query, ...filter })
      expect(listed, JSON.stringify(filter)).toEqual({ items, total: items.length })
    }
  })

  promise('lists the executions of one sandbox by age', async ({ sandboxes, executions }) => {
    const [box, other] = [aSandbox(), aSandbox()]
    for (const one of [box, other]) await sandboxes.insert(one)
    const all = Array.from({ length: 3 }, () => anExecution(box.id))
    for (const execution of [...all, anExecution(other.id)]) await executions.insert(execution)
    const query = { sandboxId: box.id, limit: 2, offset: 0 }
    expect(await executions.list({ ...query, direction: 'asc' })).toEqual({
      items: all.slice(0, 2),
      total: 3,
    })
    expect(await executions.list({ ...query, direction: 'desc', offset: 2 })).toEqual({
      items: [all[0]],
      total: 3,
    })
  })
}

const everyEvent = { limit: 10_000, offset: 0, direction: 'asc' } as const

function eventPromises(promise: Declare): void {
  promise('tells events of a sandbox in their order, by page and type', async ({ sandboxes, events }) => {
    const [box, other] = [aSandbox(), aSandbox()]
    const created = anEvent(box.id, { payload: { 'a"b': [1, null, { c: 'd\u0000' }] } })
    await sandboxes.insert(box, { events: [created] })
    await sandboxes.insert(other, { events: [anEvent(other.id)], durability: 'process' })
    const [begun, ended] = [anEvent(box.id, { type: 'begin' }), anEvent(box.id, { type: 'end' })]
    await sandboxes.update(box.id, { state: 'stopping' }, { events: [begun, ended] })
    const of = (query: object) => events.list({ ...everyEvent, sandboxId: box.id, ...query })
    expect(await of({})).toEqual({ items: [created, begun, ended], total: 3 })
    expect(await of({ direction: 'desc', limit: 2 })).toEqual({ items: [ended, begun], total: 3 })
    expect(await of({ offset: 2 })).toEqual({ items: [ended], total: 3 })
    expect(await of({ type: 'begin' })).toEqual({ items: [begun], total: 1 })
    expect(await of({ type: ['end', 'create'], limit: 1 })).toEqual({ items: [created], total: 2 })
    expect(await of({ type: [] })).toEqual({ items: [], total: 0 })
    expect(await of({ sandboxId: 'sbx_none' })).toEqual({ items: [], total: 0 })
  })

  promise('stores events of their own, all or none', async ({ events }) => {
    const [a, b, c] = [anEvent('sbx_a'), anEvent('sbx_b'), anEvent('sbx_a')]
    await events.add([a, b])
    await events.add([])
    await expect(events.add([c, a])).rejects.toMatchObject({ code: 'conflict' })
    expect(await events.list({ ...everyEvent, sandboxId: 'sbx_a' })).toEqual({ items: [a], total: 1 })
  })

  promise('stores an event with its write or not at all', async ({ sandboxes, executions, events }) => {
    const box = aSandbox({ name: 'web' })
    const execution = anExecution(box.id)
    const told = anEvent(box.id)
    const fresh = () => ({ events: [anEvent(box.id)] })
    await sandboxes.insert(box, { events: [told] })
    await executions.insert(execution, fresh())
    await executions.update(execution.id, { state: 'running' }, fresh())
    const conflict = { code: 'conflict' }
    const missing = { code: 'execution_not_found' }
    await expect(sandboxes.insert(aSandbox({ name: 'web' }), fresh())).rejects.toMatchObject({
      code: 'name_taken',
    })
    await expect(sandboxes.update(box.id, {}, { ifVersion: 9, ...fresh() })).rejects.toMatchObject(conflict)
    await expect(executions.insert(execution, fresh())).rejects.toMatchObject(conflict)
    await expect(executions.update('exe_none', {}, fresh())).rejects.toMatchObject(missing)
    expect(await events.list({ ...everyEvent, sandboxId: box.id })).toMatchObject({ total: 3 })

    const known = { events: [anEvent(box.id), told] }
    const [unborn, never] = [aSandbox(), anExecution(box.id)]
    await expect(sandboxes.insert(unborn, known)).rejects.toMatchObject(conflict)
    await expect(sandboxes.update(box.id, { name: 'api' }, known)).rejects.toMatchObject(conflict)
    await expect(executions.insert(never, known)).rejects.toMatchObject(conflict)
    await expect(executions.update(execution.id, { pid: 5 }, known)).rejects.toMatchObject(conflict)
    expect(await sandboxes.get(unborn.id)).toBeNull()
    expect(await sandboxes.get(box.id)).toEqual({ ...box, executionCount: 1 })
    expect(await executions.get(never.id)).toBeNull()
    expect(await executions.get(execution.id)).toEqual({ ...execution, state: 'running' })
    expect(await events.list({ ...everyEvent, sandboxId: box.id })).toMatchObject({ total: 3 })
  })
}

function destinationPromises(promise: Declare): void {
  const page = { sandboxId: 'sbx_a', limit: 10, offset: 0 }

  promise('adds up destinations, and keeps the most recent', async ({ destinations }) => {
    const first = aDestination('sbx_a', { firstAt: 100, lastAt: 100 })
    const nameless = aDestination('sbx_a', { name: '', port: 0, protocol: 'icmp', firstAt: 150, lastAt: 150 })
    await destinations.add([first, nameless, aDestination('sbx_b')], 10)
    await destinations.add([{ ...first, connections: 2, uploadedBytes: 5, firstAt: 90, lastAt: 95 }], 10)
    await destinations.add([{ ...first, connections: 0, downloadedBytes: 2 ** 50, lastAt: 200 }], 10)
    await destinations.add([{ ...first, connections: 0, uploadedBytes: 1, lastAt: 120 }], 10)
    await destinations.add([], 10)
    const sums = { connections: 3, uploadedBytes: 6, downloadedBytes: 2 ** 50, firstAt: 90, lastAt: 200 }
    const summed = { ...first, ...sums }
    expect(await destinations.list(page)).toEqual({ items: [summed, nameless], total: 2 })
    expect(await destinations.list({ ...page, limit: 1, offset: 1 })).toEqual({ items: [nameless], total: 2 })
    await destinations.add([aDestination('sbx_a', { port: 80, lastAt: 160 })], 2)
    const left = await destinations.list(page)
    expect(left.items.map(({ port }) => port)).toEqual([443, 80])
    expect(await destinations.list({ ...page, sandboxId: 'sbx_b' })).toMatchObject({ total: 1 })
  })
}

function usagePromises(promise: Declare): void {
  promise('adds up usage by hour, sandbox, project and organisation', async ({ usage }) => {
    const one = { executions: 1, cpuUsec: 10, memoryByteSec: 0.5, egressBytes: 3 }
    const times = (n: number) => ({
      executions: n,
      cpuUsec: 10 * n,
      memoryByteSec: 0.5 * n,
      egressBytes: 3 * n,
    })
    const a = { ...one, projectId: 'p', orgId: 'o' }
    await usage.add([aUsage('sbx_a', { hour: 100, ...a }), aUsage('sbx_a', { hour: 100, ...a })])
    await usage.add([aUsage('sbx_a', { hour: 100, ...a }), aUsage('sbx_a', { hour: 200, ...a })])
    await usage.add([aUsage('sbx_b', { hour: 200, ...one, projectId: 'q', orgId: 'o' })])
    await usage.add([])
    expect(await usage.ofSandbox('sbx_a')).toEqual(times(4))
    expect(await usage.ofSandbox('sbx_none')).toEqual(times(0))
    expect(await usage.sum({ start: 100, end: 200 })).toEqual(times(3))
    expect(await usage.sum({ start: 101, end: 201 })).toEqual(times(2))
    expect(await usage.sum({ start: 0, end: 201, orgId: 'o' })).toEqual(times(5))
    expect(await usage.sum({ start: 0, end: 201, orgId: 'o', projectId: 'q' })).toEqual(times(1))
    await usage.purge(200)
    expect(await usage.sum({ start: 0, end: 201 })).toEqual(times(2))
  })

  promise('adds up more byte-seconds than an integer holds', async ({ usage }) => {
    const memoryByteSec = 2 ** 62
    for (let hour = 0; hour < 4; hour++) await usage.add([aUsage('sbx_a', { hour, memoryByteSec })])
    expect((await usage.ofSandbox('sbx_a')).memoryByteSec).toBe(2 ** 64)
  })
}

function keyPromises(promise: Declare): void {
  promise('keeps, finds and removes keys', async ({ keys }) => {
    const [a, b] = [aKey({ scopes: ['read', 'exec'] }), aKey({ expiresAt: 5 })]
    await keys.insert(a)
    await keys.insert(b)
    expect(await keys.findByHash(a.hash)).toEqual(a)
    expect(await keys.findByHash('none')).toBeNull()
    expect(await keys.list()).toEqual([a, b])
    await expect(keys.insert(aKey({ hash: a.hash }))).rejects.toBeInstanceOf(SandboxError)
    expect(await keys.remove(a.id)).toBe(true)
    expect(await keys.remove(a.id)).toBe(false)
    expect(await keys.findByHash(a.hash)).toBeNull()
  })
}

function sshKeyPromises(promise: Declare): void {
  promise('keeps, finds and removes ssh keys', async ({ sshKeys }) => {
    const [a, b] = [anSshKey({ name: 'laptop' }), anSshKey()]
    await sshKeys.insert(a)
    await sshKeys.insert(b)
    expect(await sshKeys.findByFingerprint(a.fingerprint)).toEqual(a)
    expect(await sshKeys.findByFingerprint('none')).toBeNull()
    expect(await sshKeys.list()).toEqual([a, b])
    const known = expect(sshKeys.insert(anSshKey({ fingerprint: a.fingerprint }))).rejects
    await known.toMatchObject({ code: 'conflict' })
    expect(await sshKeys.remove(a.fingerprint)).toBe(true)
    expect(await sshKeys.remove(a.id)).toBe(false)
    expect(await sshKeys.remove(b.id)).toBe(true)
    expect(await sshKeys.list()).toEqual([])
  })
}
