import { describe, expect, test } from 'vitest'
import type { Driver } from '../../runtime/driver.ts'
import type { MemoryDriver } from '../../runtime/memory/index.ts'
import type { Context } from '../context.ts'
import { type Server, until, World } from '../world.test-kit.ts'
import { measured, measurePending } from './measure.ts'

const listAll = { limit: 100, offset: 0, direction: 'asc' } as const
const noFilter = { limit: 50, offset: 0, sort: 'created', direction: 'asc' } as const
const one = { count: 1, memory: false }

async function make(server: Server, input = {}): Promise<string> {
  const { sandbox } = await server.useCases.createSandbox({ idleTimeout: 0, ...input })
  return sandbox.id
}

async function eventsOf({ useCases }: Server, id: string): Promise<string[]> {
  const { events } = await useCases.listEvents(id, listAll)
  return events.map(({ type }) => type)
}

const write = ({ useCases }: Server, id: string, path: string, content: string) =>
  useCases.writeFiles(id, { files: [{ path, content, encoding: 'utf8' }] })

describe('checkpoints', () => {
  test('are made of a sandbox that runs, listed, and deleted with their save', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    const first = await server.useCases.createCheckpoint(id, { name: 'first' })
    expect(first).toMatchObject({ sandboxId: id, name: 'first' })
    const second = await server.useCases.createCheckpoint(id, {})
    const { checkpoints, total } = await server.useCases.listCheckpoints(id, listAll)
    expect([checkpoints.map((each) => each.id), total]).toEqual([[first.id, second.id], 2])
    expect(world.layers.saved.size).toBe(2)
    await server.useCases.deleteCheckpoint(id, 'first')
    await server.useCases.deleteCheckpoint(id, second.id)
    expect(world.layers.saved.size).toBe(0)
    expect(await eventsOf(server, id)).toEqual(
      expect.arrayContaining(['checkpoint:created', 'checkpoint:deleted']),
    )
    await expect(server.useCases.deleteCheckpoint(id, 'first')).rejects.toMatchObject({
      code: 'checkpoint_not_found',
    })
    expect(server.context.heldSaves.size).toBe(0)
  })

  test('have names of their own, and are not more than 100', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    await server.useCases.createCheckpoint(id, { name: 'a' })
    await expect(server.useCases.createCheckpoint(id, { name: 'a' })).rejects.toMatchObject({
      code: 'checkpoint_exists',
    })
    for (let count = 1; count < 100; count++) await server.useCases.createCheckpoint(id, {})
    await expect(server.useCases.createCheckpoint(id, {})).rejects.toMatchObject({ code: 'too_many' })
    expect(world.layers.saved.size).toBe(100)
  })

  test('are measured in the background, also by the next server', async () => {
    await using world = await World.make()
    const first = await world.server()
    const id = await make(first)
    world.layers.saves.measure = async () => ({ bytes: 7, files: 2 })
    first.context.stopping = true
    await first.useCases.createCheckpoint(id, { name: 'a' })
    await measured(first.context)
    first.die()
    const server = await world.server()
    const sizes = async () => (await server.useCases.listCheckpoints(id, listAll)).checkpoints[0]
    expect(await sizes()).toMatchObject({ sizeBytes: null, fileCount: null })
    await measurePending(server.context)
    await measured(server.context)
    expect(await sizes()).toMatchObject({ sizeBytes: 7, fileCount: 2 })
  })

  test('go with their sandbox', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    await server.useCases.createCheckpoint(id, {})
    await server.useCases.deleteSandbox(id)
    expect(world.layers.saved.size).toBe(0)
    await expect(server.useCases.createCheckpoint(id, {})).rejects.toMatchObject({ code: 'sandbox_ended' })
  })

  test('of a session that was never started start it', async () => {
    await using world = await World.make()
    const server = await world.server()
    const { sandboxId } = await server.useCases.createSession({})
    await server.useCases.createCheckpoint(sandboxId, { name: 'first' })
    expect((await server.useCases.getSandbox(sandboxId)).status).toBe('idle')
    expect(world.layers.saved.size).toBe(1)
  })

  test('leave nothing when the save fails', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    const { save } = world.layers.saves
    world.layers.saves.save = async (...args) => {
      await save(...args)
      throw new Error('the disk is full')
    }
    await expect(server.useCases.createCheckpoint(id, {})).rejects.toMatchObject({ code: 'save_failed' })
    expect(world.layers.saved.size).toBe(0)
    expect(world.host.sandboxes.get(id)?.agent.frozen).toBe(false)
  })

  test('are refused where the storage keeps no copies', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    Object.assign(world.layers, { saves: undefined })
    const error = { code: 'not_supported' }
    await expect(server.useCases.createCheckpoint(id, {})).rejects.toMatchObject(error)
    await expect(server.useCases.createSnapshot(id, {})).rejects.toMatchObject(error)
    await expect(server.useCases.forkSandbox(id, one)).rejects.toMatchObject(error)
  })
})

describe('a restore', () => {
  test('ends what runs, puts the files back, and starts the sandbox again', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server, { env: { A: '1' } })
    await server.useCases.createCheckpoint(id, { name: 'good' })
    const [save] = world.layers.saved.keys()
    const running = await server.useCases.startExecution(id, { argv: ['sleep', '1000'] })
    const restored = await server.useCases.restoreCheckpoint(id, 'good')
    expect(restored).toMatchObject({ id, status: 'idle', pause: null })
    expect(world.layers.roots.get(id)?.from).toBe(save)
    expect(await server.useCases.getExecution(running.id)).toMatchObject({ ending: 'sandbox-ended' })
    expect(await server.useCases.getEnvironment(id)).toEqual({ A: '1' })
    expect(await eventsOf(server, id)).toContain('checkpoint:restored')
    expect(server.context.live.get(id)?.record.restoring).toBeNull()
  })

  test('of a paused sandbox leaves it paused', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    await server.useCases.createCheckpoint(id, { name: 'good' })
    await server.useCases.pauseSandbox(id, { depth: 'memory' })
    const restored = await server.useCases.restoreCheckpoint(id, 'good')
    expect(restored).toMatchObject({ status: 'suspended', pause: { depth: 'filesystem' } })
    expect(world.layers.roots.get(id)?.from).not.toBeNull()
  })

  test('of two at once ends with the files of the later', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    for (const name of ['a', 'b', 'c']) await server.useCases.createCheckpoint(id, { name })
    const saves = [...world.layers.saved.keys()]
    await Promise.all(['a', 'b', 'c'].map((name) => server.useCases.restoreCheckpoint(id, name)))
    expect(world.layers.roots.get(id)?.from).toBe(saves[2])
    expect((await server.useCases.getSandbox(id)).status).toBe('idle')
  })

  test('that a command meets on the way is finished before the command runs', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    await server.useCases.createCheckpoint(id, { name: 'good' })
    const [save] = world.layers.saved.keys()
    let from: string | null | undefined
    const met = Promise.withResolvers<void>()
    onFailpoint(server.context, 'restore:stopped', () => {
      server.useCases.startExecution(id, { argv: ['true'] }).then(() => {
        from = world.layers.roots.get(id)?.from
        met.resolve()
      }, met.reject)
    })
    await server.useCases.restoreCheckpoint(id, 'good')
    await met.promise
    expect(from).toBe(save)
  })

  test('that failed leaves a sandbox that does not run before it has succeeded', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    await server.useCases.createCheckpoint(id, { name: 'good' })
    const { replace } = world.layers.saves
    world.layers.saves.replace = async () => {
      throw new Error('the disk is gone')
    }
    await expect(server.useCases.restoreCheckpoint(id, 'good')).rejects.toMatchObject({
      code: 'resume_failed',
      message: expect.stringContaining('the disk is gone'),
    })
    await expect(server.useCases.startExecution(id, { argv: ['true'] })).rejects.toThrow()
    world.layers.saves.replace = replace
    await server.useCases.startExecution(id, { argv: ['true'] })
    expect(world.layers.roots.get(id)?.from).not.toBeNull()
  })

  test('of what cannot be stopped is given up', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    await server.useCases.createCheckpoint(id, { name: 'good' })
    const { update } = world.store.sandboxes
    world.store.sandboxes.update = async (...args) => {
      if (args[1].state === 'pausing') throw new Error('the disk is full')
      return update.apply(world.store.sandboxes, args)
    }
    await expect(server.useCases.restoreCheckpoint(id, 'good')).rejects.toThrow()
    expect(await world.store.sandboxes.get(id)).toMatchObject({ state: 'ready', restoring: null })
    expect((await server.useCases.getSandbox(id)).status).toBe('idle')
  })

  test.each(['restore:recorded', 'restore:stopped', 'restore:replaced'])(
    'that dies at %s has not begun, or is finished by the next server',
    async (failpoint) => {
      await using world = await World.make()
      const first = await world.server()
      const id = await make(first)
      await first.useCases.createCheckpoint(id, { name: 'good' })
      const [save] = world.layers.saved.keys()
      const dead = Promise.withResolvers<void>()
      onFailpoint(first.context, failpoint, () => {
        first.die()
        dead.resolve()
        throw new Error('dead')
      })
      await expect(first.useCases.restoreCheckpoint(id, 'good')).rejects.toThrow()
      await dead.promise
      const server = await world.server()
      await server.useCases.startExecution(id, { argv: ['true'] })
      const expected = failpoint === 'restore:recorded' ? null : save
      expect(world.layers.roots.get(id)?.from).toBe(expected)
      expect((await world.store.sandboxes.get(id))?.restoring).toBeNull()
    },
  )
})

describe('snapshots', () => {
  test('are named and tagged, and sandboxes are made from them', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server, { name: 'web', env: { SECRET: 'x' }, metadata: { a: 'b' } })
    const snapshot = await server.useCases.createSnapshot(id, { description: 'd' })
    expect(snapshot).toMatchObject({
      ...{ name: 'web', tag: 'latest', sandboxId: id, parentId: null, public: false, env: [], metadata: {} },
      ...{ description: 'd', sandboxes: 0 },
    })
    const [save] = world.layers.saved.keys()
    const { sandbox } = await server.useCases.createSandbox({ snapshot: 'web' })
    expect(sandbox.snapshotId).toBe(snapshot.id)
    expect(world.layers.roots.get(sandbox.id)?.from).toBe(save)
    expect((await server.useCases.getSnapshot('web:latest')).sandboxes).toBe(1)
    expect(await server.useCases.getEnvironment(sandbox.id)).toEqual({})
    expect(await eventsOf(server, id)).toContain('snapshot:created')
  })

  test('have an environment when that is asked for, and an id for a name', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server, { env: { A: '1', B: '2' } })
    const snapshot = await server.useCases.createSnapshot(id, { env: true, tag: null })
    expect(snapshot).toMatchObject({ name: snapshot.id.replace('_', '-'), tag: null, env: ['A', 'B'] })
    const { sandbox } = await server.useCases.createSandbox({ snapshot: snapshot.id, env: { B: '3' } })
    expect(await server.useCases.getEnvironment(sandbox.id)).toEqual({ A: '1', B: '3' })
  })

  test('give their tag to the next of the same name', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    const first = await server.useCases.createSnapshot(id, { name: 'web' })
    const second = await server.useCases.createSnapshot(id, { name: 'web' })
    expect((await server.useCases.getSnapshot(first.id)).tag).toBeNull()
    await server.useCases.tagSnapshot(first.id, 'latest')
    expect((await server.useCases.getSnapshot('web')).id).toBe(first.id)
    expect((await server.useCases.getSnapshot(second.id)).tag).toBeNull()
    expect((await server.useCases.tagSnapshot('web', null)).tag).toBeNull()
    await expect(server.useCases.getSnapshot('web')).rejects.toMatchObject({ code: 'snapshot_ambiguous' })
  })

  test('may be deleted, whatever was made from them', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    const parent = await server.useCases.createSnapshot(id, { name: 'parent' })
    const [save] = world.layers.saved.keys()
    const made = await make(server, { snapshot: 'parent' })
    const child = await server.useCases.createSnapshot(made, { name: 'child' })
    expect(child.parentId).toBe(parent.id)
    await server.useCases.deleteSnapshot('parent')
    // A pause of depth `workspace` needs it.
    expect(world.layers.saved.has(save ?? '')).toBe(true)
    expect(world.layers.roots.has(made)).toBe(true)
    await expect(server.useCases.deleteSnapshot('parent')).rejects.toMatchObject({
      code: 'snapshot_not_found',
    })
    await make(server, { snapshot: 'child' })
    const alone = await server.useCases.createSnapshot(id, { name: 'alone' })
    await server.useCases.deleteSnapshot(alone.id)
    expect(world.layers.saved.size).toBe(2)
  })

  test('tell their lineage as far as it is there', async () => {
    await using world = await World.make()
    const server = await world.server()
    const { useCases } = server
    const a = await useCases.createSnapshot(await make(server), { name: 'a' })
    const fromA = await make(server, { snapshot: 'a' })
    const b = await useCases.createSnapshot(fromA, { name: 'b' })
    const fromB = await make(server, { snapshot: 'b' })
    const c = await useCases.createSnapshot(fromB, { name: 'c' })
    const ids = (records: { id: string }[]) => records.map(({ id }) => id)
    expect(ids((await useCases.getLineage('c')).ancestors)).toEqual([b.id, a.id])
    const ofA = await useCases.getLineage('a')
    expect([ids(ofA.children), ofA.sandboxes]).toEqual([[b.id], [fromA]])
    await useCases.deleteSnapshot('b')
    expect((await useCases.getLineage('c')).ancestors).toEqual([])
    const { snapshots, total } = await useCases.listSnapshots(noFilter)
    expect([ids(snapshots), total]).toEqual([[a.id, c.id], 2])
  })

  test('are not published with what looks like a secret, unless that is confirmed', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server, { env: { API_TOKEN: 'x' } })
    await server.useCases.createSnapshot(id, { public: true, name: 'clean' })
    await write(server, id, '/.env', 'PASSWORD=1')
    await write(server, id, '/.npmrc', '//r/:_authToken=1')
    await write(server, id, '/harmless.pem', '-----BEGIN CERTIFICATE-----')
    const create = (input: object) => server.useCases.createSnapshot(id, { public: true, ...input })
    await expect(create({})).rejects.toMatchObject({
      code: 'snapshot_unsafe',
      details: { files: ['/.env', '/.npmrc'] },
    })
    await expect(create({ env: true })).rejects.toMatchObject({
      details: { files: ['the variable API_TOKEN', '/.env', '/.npmrc'] },
    })
    expect(world.layers.saved.size).toBe(1)
    expect(await create({ confirm: true, name: 'risky' })).toMatchObject({ public: true })
    expect(await create({ public: false, name: 'private' })).toMatchObject({ public: false })
  })

  test('are not published with a secret that came while they were saved', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    const { save } = world.layers.saves
    world.layers.saves.save = async (...args) => {
      await save(...args)
      world.host.sandboxes.get(id)?.agent.thaw()
      await write(server, id, '/.netrc', 'x')
    }
    await expect(server.useCases.createSnapshot(id, { public: true })).rejects.toMatchObject({
      details: { files: ['/.netrc'] },
    })
    expect(world.layers.saved.size).toBe(0)
  })
})

describe('a fork', () => {
  test('makes copies with what the original was asked to be', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server, {
      ...{
        name: 'work',
        env: { A: '1' },
        metadata: { a: 'b' },
        description: 'd',
        projectId: 'p',
        orgId: 'o',
      },
      ...{ ports: [8080], ttl: '1h', idleTimeout: '5m', onTimeout: 'pause', resumeOnRequest: true },
    })
    await server.useCases.createCheckpoint(id, { name: 'own' })
    const { sandboxes } = await server.useCases.forkSandbox(id, { ...one, count: 3, name: 'try' })
    expect(sandboxes.map(({ name }) => name)).toEqual(['try-1', 'try-2', 'try-3'])
    expect(new Set(sandboxes.map((each) => each.id)).size).toBe(3)
    for (const copy of sandboxes) {
      expect(copy).toMatchObject({
        ...{ forkedFrom: id, metadata: { a: 'b' }, description: 'd', projectId: 'p', orgId: 'o' },
        ...{ idleTimeoutMs: 300_000, onTimeout: 'pause', resumeOnRequest: true, executionCount: 0 },
        ...{ status: 'idle', sessionId: null },
      })
      expect(copy.ports).toMatchObject([{ port: 8080, access: 'private' }])
      expect(Date.parse(copy.expiresAt ?? '')).toBeGreaterThan(Date.now() + 3_500_000)
      expect(await server.useCases.getEnvironment(copy.id)).toEqual({ A: '1' })
      expect((await server.useCases.listCheckpoints(copy.id, listAll)).total).toBe(0)
      expect(world.layers.roots.get(copy.id)?.from).toMatch(/^sav_/)
      expect((await world.store.sandboxes.get(copy.id))?.base).toBeNull()
    }
    expect(world.layers.saved.size).toBe(1)
    expect(server.context.heldSaves.size).toBe(0)
    expect(await eventsOf(server, id)).toContain('fork')
    expect((await server.useCases.getSandbox(id)).status).toBe('idle')
  })

  test('has its own metadata and a single name when it is asked for', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server, { metadata: { a: 'b' } })
    const { sandboxes } = await server.useCases.forkSandbox(id, {
      ...one,
      name: 'copy',
      metadata: { c: 'd' },
    })
    expect(sandboxes).toMatchObject([{ name: 'copy', metadata: { c: 'd' } }])
    const long = { ...one, count: 10, name: 'x'.repeat(62) }
    await expect(server.useCases.forkSandbox(id, long)).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(server.useCases.forkSandbox(id, { ...one, name: 'copy' })).rejects.toMatchObject({
      code: 'name_taken',
    })
    expect(world.layers.saved.size).toBe(0)
  })

  test('makes all copies or none', async () => {
    await using world = await World.make()
    let starts = 0
    const driver = (memory: MemoryDriver): Driver => {
      const start = memory.start.bind(memory)
      memory.start = async (...args) => {
        if (++starts === 6) throw new Error('no more')
        return start(...args)
      }
      return memory
    }
    const server = await world.server({ driver })
    const id = await make(server)
    const failed = server.useCases.forkSandbox(id, { ...one, count: 8 }, { idempotencyKey: 'k' })
    await expect(failed).rejects.toMatchObject({ code: 'create_failed', details: { stage: 'driver' } })
    await until(() => world.host.sandboxes.size === 1)
    expect([...world.host.sandboxes.keys()]).toEqual([id])
    expect([...world.layers.roots.keys()]).toEqual([id])
    expect(world.layers.saved.size).toBe(0)
    expect([...server.context.live.keys()]).toEqual([id])
    const again = await server.useCases.forkSandbox(id, { ...one, count: 8 }, { idempotencyKey: 'k' })
    expect(again.sandboxes).toHaveLength(8)
  })

  test('is cut off with its request', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    const gone = new AbortController()
    onFailpoint(server.context, 'fork:created', () => gone.abort())
    const forked = server.useCases.forkSandbox(id, { ...one, count: 20 }, {}, gone.signal)
    await expect(forked).rejects.toThrow()
    expect([...server.context.live.keys()]).toEqual([id])
  })

  test('with an idempotency key is made once, and refuses another request under it', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    const once = { idempotencyKey: 'k' }
    const input = { ...one, count: 2 }
    const ids = (forked: { sandboxes: { id: string }[] }) => forked.sandboxes.map((each) => each.id)
    const [first, second] = await Promise.all([
      server.useCases.forkSandbox(id, input, once),
      server.useCases.forkSandbox(id, input, once),
    ])
    expect(ids(second)).toEqual(ids(first))
    expect(ids(await server.useCases.forkSandbox(id, input, once))).toEqual(ids(first))
    const other = server.useCases.forkSandbox(id, { ...one, count: 3 }, once)
    await expect(other).rejects.toMatchObject({ code: 'idempotency_conflict' })
    expect(server.context.live.size).toBe(3)
  })

  test('whose copies are partly forgotten ends none of the others at a repeat', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    const once = { idempotencyKey: 'k' }
    const { sandboxes } = await server.useCases.forkSandbox(id, { ...one, count: 2 }, once)
    const [gone = '', left = ''] = sandboxes.map((each) => each.id)
    await server.useCases.deleteSandbox(gone)
    await world.store.sandboxes.purge(Date.now() + 1000)
    const again = await server.useCases.forkSandbox(id, { ...one, count: 2 }, once)
    expect(again.sandboxes.map((each) => each.id)).toEqual([left])
    expect((await server.useCases.getSandbox(left)).status).toBe('idle')
  })

  test('that the server died in is begun anew by a repeat', async () => {
    await using world = await World.make()
    const first = await world.server()
    const id = await make(first)
    const once = { idempotencyKey: 'k' }
    onFailpoint(first.context, 'fork:created', () => {
      first.die()
      throw new Error('dead')
    })
    const input = { ...one, count: 2 }
    await first.useCases.forkSandbox(id, input, once).catch(() => {})
    const server = await world.server()
    const { sandboxes } = await server.useCases.forkSandbox(id, input, once)
    expect(sandboxes).toHaveLength(2)
    expect([...server.context.live.keys()].sort()).toEqual([id, ...sandboxes.map((each) => each.id)].sort())
  })

  test('of a paused sandbox leaves it paused, and its copies run', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    await server.useCases.pauseSandbox(id, { depth: 'filesystem' })
    const { sandboxes } = await server.useCases.forkSandbox(id, one)
    expect(sandboxes).toMatchObject([{ status: 'idle', pause: null }])
    expect((await server.useCases.getSandbox(id)).status).toBe('suspended')
  })

  test('with memory starts from a dump that goes again', async () => {
    await using world = await World.make()
    const server = await world.server()
    const id = await make(server)
    await write(server, id, '/note', 'kept')
    const { sandboxes } = await server.useCases.forkSandbox(id, { ...one, memory: true })
    const copy = sandboxes[0]?.id ?? ''
    const { data } = await server.useCases.readFile(copy, { path: '/note', offset: 0 })
    let text = ''
    for await (const piece of data) text += Buffer.from(piece).toString()
    expect(text).toBe('kept')
    expect(await server.context.driver.memory?.listDumps()).toEqual([])
    expect(world.layers.saved.size).toBe(0)
  })

  test('with memory is refused with the reason where processes cannot be kept', async () => {
    await using world = await World.make()
    const driver = (memory: MemoryDriver): Driver =>
      Object.assign(memory, { memory: { ...memory.memory, noDumps: 'criu is not installed' } })
    const server = await world.server({ driver })
    const id = await make(server)
    const forked = server.useCases.forkSandbox(id, { ...one, memory: true })
    await expect(forked).rejects.toMatchObject({
      code: 'not_supported',
      details: { reason: 'criu is not installed' },
    })
  })
})

/** Does something when the server comes to a place. */
function onFailpoint(context: Context, place: string, work: () => void): void {
  const before = context.failpoint
  Object.assign(context, {
    failpoint: (name: Parameters<Context['failpoint']>[0]) => {
      before(name)
      if (name === place) work()
    },
  })
}
