import { SandboxError } from '@caisson/protocol/errors'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { aKey, anExecution, aSandbox } from './fixtures.ts'
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
    keyPromises(promise)
  })
}

type Declare = (title: string, body: (store: Store) => Promise<void>) => void

function sandboxPromises(promise: Declare): void {
  promise('gives back what was put in', async ({ sandboxes }) => {
    const full = aSandbox({
      name: 'web',
      description: 'with "quotes", ünïcode, \u0000 and \n lines',
      metadata: { 'a.b"c': 'd\u0000e', ['__proto__']: 'x', $: '' },
      env: { PATH: '/bin', EMPTY: '' },
      asked: { memory: '1Gi', pids: 64 },
      granted: { memoryBytes: 2 ** 40, cpuMillis: 500, pids: 64, diskBytes: 2 ** 45 },
      ending: { reason: 'deleted', message: 'It was deleted.' },
      expiresAt: 1_800_000_000_000,
      idempotencyKey: 'once',
      requestDigest: 'ab',
    })
    await sandboxes.insert(full)
    expect(await sandboxes.get(full.id)).toEqual(full)
    const bare = aSandbox()
    await sandboxes.insert(bare, 'process')
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
    await sandboxes.update(first.id, { state: 'stopping' })
    await expect(sandboxes.insert(aSandbox({ name: 'web' }))).rejects.toEqual(refused)
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
    await expect(sandboxes.insert(aSandbox({ idBase: 131_072 }))).rejects.toMatchObject({ code: 'conflict' })
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

  promise('purges what ended long ago, with its executions', async ({ sandboxes, executions }) => {
    const old = aSandbox({ state: 'terminated', endedAt: 100 })
    const recent = aSandbox({ state: 'failed', endedAt: 200 })
    const live = aSandbox()
    for (const box of [old, recent, live]) await sandboxes.insert(box)
    const [first, second] = [anExecution(old.id), anExecution(recent.id)]
    for (const execution of [first, second]) await executions.insert(execution)
    expect(await sandboxes.purge(200)).toEqual({ sandboxes: [old.id], executions: [first.id] })
    expect(await sandboxes.get(old.id)).toBeNull()
    expect(await executions.get(first.id)).toBeNull()
    expect(await executions.get(second.id)).toEqual(second)
    expect(await sandboxes.purge(200)).toEqual({ sandboxes: [], executions: [] })
  })
}

function listPromises(promise: Declare): void {
  const ids = async ({ sandboxes }: Store, query: Partial<SandboxQuery>) =>
    (await sandboxes.list({ ...page, ...query })).items.map(({ id }) => id)

  promise('lists by every filter', async (store) => {
    const a = aSandbox({ name: 'a', projectId: 'p', metadata: { team: 'red', tier: '1' } })
    const b = aSandbox({ orgId: 'o', mode: 'oneshot', metadata: { team: 'red' } })
    const c = aSandbox({ state: 'terminated', metadata: { team: 'blue' } })
    const d = aSandbox({ state: 'creating' })
    for (const box of [a, b, c, d]) await store.sandboxes.insert(box)
    const cases: [Partial<SandboxQuery>, string[]][] = [
      [{}, [a.id, b.id, c.id, d.id]],
      [{ name: 'a' }, [a.id]],
      [{ projectId: 'p' }, [a.id]],
      [{ orgId: 'o' }, [b.id]],
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
      outputTruncated: true,
      outputLimit: 2 ** 40,
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
