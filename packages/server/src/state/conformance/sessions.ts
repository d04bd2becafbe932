import { expect } from 'vitest'
import { STATES } from '../../core/lifecycle.ts'
import type { SandboxRecord, SessionRecord } from '../../core/records.ts'
import { sessionStatus } from '../../core/session-status.ts'
import { anEvent, aRecordedSandbox, aSandbox, aSession } from '../fixtures.ts'
import type { SessionQuery, Store } from '../store.ts'
import type { Declare } from './declare.ts'

const page = { sort: 'created', direction: 'asc', limit: 100, offset: 0 } as const

/** A session with its sandbox, stored. */
async function stored(
  { sessions }: Store,
  fields: Partial<SessionRecord> = {},
  sandbox: SandboxRecord = aRecordedSandbox(),
): Promise<SessionRecord> {
  const session = aSession(sandbox.id, fields)
  await sessions.insert(session, { ...sandbox, sessionId: session.id })
  return session
}

export function sessionPromises(promise: Declare): void {
  promise('gives back a session and its sandbox', async (store) => {
    const { sandboxes, sessions, events } = store
    const box = aRecordedSandbox()
    const full = aSession(box.id, {
      name: 'chat',
      pauseAfterMs: null,
      metadata: { 'a"b': 'c' },
      projectId: 'p',
      orgId: 'o',
      idempotencyKey: 'once',
      requestDigest: 'ab',
    })
    await sessions.insert(full, box, { events: [anEvent(box.id)] })
    expect(await sessions.get(full.id)).toEqual(full)
    expect(await sandboxes.get(box.id)).toEqual(box)
    expect(await events.list({ ...page, sandboxId: box.id })).toMatchObject({ total: 1 })
    expect(await sessions.get('ses_none')).toBeNull()
    expect(await sessions.findByName('chat')).toEqual(full)
    expect(await sessions.findByName('none')).toBeNull()
    expect(await sessions.findByIdempotencyKey('once')).toEqual(full)
    expect(await sessions.findByIdempotencyKey('twice')).toBeNull()
    expect(await sessions.update(full.id, { deletedAt: 5, updatedAt: 6 })).toEqual({
      ...full,
      deletedAt: 5,
      updatedAt: 6,
    })
    expect(await sessions.findByName('chat')).toBeNull()
    await stored(store, { name: 'chat' })
    const lost = expect(sessions.update('ses_none', { deletedAt: 1 })).rejects
    await lost.toMatchObject({ code: 'session_not_found' })
  })

  promise('leaves nothing of a refused session', async (store) => {
    const { sandboxes, sessions, events } = store
    const first = await stored(store, { name: 'chat', idempotencyKey: 'once' })
    const named = aSandbox({ name: 'web' })
    const told = anEvent(named.id)
    await sandboxes.insert(named, { events: [told] })
    const taken = (name: string, sandbox: string) => ({ code: 'name_taken', details: { name, sandbox } })
    const conflict = { code: 'conflict' }
    const cases: [Partial<SessionRecord>, Partial<SandboxRecord>, object][] = [
      [{ name: 'chat' }, {}, taken('chat', first.sandboxId)],
      [{}, { name: 'web' }, taken('web', named.id)],
      [{ id: first.id }, {}, conflict],
      [{ idempotencyKey: 'once' }, {}, conflict],
      [{}, { id: named.id }, conflict],
    ]
    for (const [fields, sandboxFields, refusal] of cases) {
      const box = aRecordedSandbox(sandboxFields)
      const session = aSession(box.id, fields)
      const refused = sessions.insert(session, box, { events: [anEvent(box.id)] })
      await expect(refused).rejects.toMatchObject(refusal)
      if (box.id !== named.id) expect(await sandboxes.get(box.id)).toBeNull()
    }
    const box = aRecordedSandbox()
    const untold = sessions.insert(aSession(box.id), box, { events: [told] })
    await expect(untold).rejects.toMatchObject(conflict)
    expect(await sandboxes.get(box.id)).toBeNull()
    expect(await sessions.list({ ...page, all: true })).toMatchObject({ total: 1 })
    expect(await events.list({ ...page, sandboxId: named.id })).toMatchObject({ total: 1 })
  })

  promise('lists sessions by what they and their sandboxes are', async (store) => {
    const items: { session: SessionRecord; sandbox: SandboxRecord }[] = []
    for (const state of STATES) {
      for (const bootedAt of [null, 5]) {
        for (const deletedAt of [null, 7]) {
          const box = aSandbox({ state, bootedAt })
          const session = await stored(store, { deletedAt }, box)
          items.push({ session, sandbox: { ...box, sessionId: session.id } })
        }
      }
    }
    const listed = (query: Partial<SessionQuery>) => store.sessions.list({ ...page, ...query })
    const statuses = ['recorded', 'active', 'paused', 'deleted'] as const
    for (const status of statuses) {
      const expected = items.filter(({ session, sandbox }) => sessionStatus(session, sandbox) === status)
      expect(expected.length).toBeGreaterThan(0)
      const of = { items: expected, total: expected.length }
      expect(await listed({ status }), status).toEqual(of)
      expect(await listed({ status, all: true }), status).toEqual(of)
    }
    const kept = items.filter(({ session, sandbox }) => sessionStatus(session, sandbox) !== 'deleted')
    expect(await listed({})).toEqual({ items: kept, total: kept.length })
    expect(await listed({ all: false, limit: 2, offset: 1 })).toEqual({
      items: kept.slice(1, 3),
      total: kept.length,
    })
    expect(await listed({ all: true })).toEqual({ items, total: items.length })
  })

  promise('lists sessions by every other filter', async (store) => {
    const a = await stored(store, { name: 'a', projectId: 'p', metadata: { team: 'red', tier: '1' } })
    const b = await stored(store, { orgId: 'o', metadata: { team: 'red' } })
    const c = await stored(store, { projectId: 'p', orgId: 'o' })
    const cases: [Partial<SessionQuery>, SessionRecord[]][] = [
      [{ name: 'a' }, [a]],
      [{ projectId: 'p' }, [a, c]],
      [{ orgId: 'o', projectId: 'p' }, [c]],
      [{ metadata: { team: 'red' } }, [a, b]],
      [{ metadata: { team: 'red', tier: '1' } }, [a]],
      [{ metadata: {}, status: 'recorded' }, [a, b, c]],
      [{ metadata: { team: 'red' }, status: 'active' }, []],
    ]
    for (const [query, expected] of cases) {
      const { items, total } = await store.sessions.list({ ...page, ...query })
      expect({ items: items.map(({ session }) => session), total }, JSON.stringify(query)).toEqual({
        items: expected,
        total: expected.length,
      })
    }
  })

  promise('sorts sessions by every field, nulls last, ties by age', async (store) => {
    // What the sandboxes have under the same names must not decide.
    const box = (at: number) => aRecordedSandbox({ name: `z${9 - at}`, createdAt: 9 - at, updatedAt: 5 })
    const a = await stored(store, { name: 'm', createdAt: 3, updatedAt: 1 }, box(3))
    const b = await stored(store, { name: null, createdAt: 1, updatedAt: 2 }, box(1))
    const c = await stored(store, { name: 'b', createdAt: 2, updatedAt: 2 }, box(2))
    const cases: [SessionQuery['sort'], SessionRecord[], SessionRecord[]][] = [
      ['name', [c, a, b], [a, c, b]],
      ['created', [b, c, a], [a, c, b]],
      ['updated', [a, b, c], [c, b, a]],
    ]
    for (const [sort, ascending, descending] of cases) {
      for (const [direction, expected] of [
        ['asc', ascending],
        ['desc', descending],
      ] as const) {
        const { items } = await store.sessions.list({ ...page, sort, direction })
        expect(
          items.map(({ session }) => session.id),
          `${sort} ${direction}`,
        ).toEqual(expected.map(({ id }) => id))
      }
    }
  })
}
