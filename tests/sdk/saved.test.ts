import { Sandbox } from 'caisson'
import { describe, expect } from 'vitest'
import { DRIVER, test } from '../fixture.ts'

/** Files are copied in constant time by the storage that root has. */
const saves = DRIVER === 'oci'

describe('a paused sandbox', () => {
  test('is resumed by what needs it, and says so', async ({ server }) => {
    await using sandbox = await Sandbox.create({ client: server.client(), files: { f: 'kept' } })
    await sandbox.pause({ depth: 'filesystem' })
    expect(sandbox.info).toMatchObject({
      status: 'suspended',
      pause: { depth: 'filesystem', memory: 'none' },
    })
    const result = await sandbox.exec(['cat', 'f'])
    expect(result).toMatchObject({ stdout: 'kept', autoResumed: true })
    expect(await sandbox.exec(['true'])).toMatchObject({ autoResumed: false })
    await sandbox.pause({ depth: 'filesystem' })
    expect(await sandbox.files.readText('f')).toBe('kept')
    expect((await sandbox.refresh()).info.pause).toBeNull()
  })

  test('is given more time by resume', async ({ server }) => {
    await using sandbox = await Sandbox.create({ client: server.client(), ttl: '1h' })
    await sandbox.pause({ depth: 'filesystem' })
    expect(sandbox.info.expiresAt).toBeNull()
    await sandbox.resume({ ttl: '2h' })
    expect(Date.parse(sandbox.info.expiresAt!) - Date.now()).toBeGreaterThan(3_600_000)
  })
})

describe.runIf(saves)('saved files (by the storage that root has)', () => {
  test('come back by a checkpoint', async ({ server }) => {
    await using sandbox = await Sandbox.create({ client: server.client(), files: { f: 'before' } })
    const { id } = await sandbox.checkpoints.create('first')
    await sandbox.files.write('f', 'after')
    const info = await sandbox.checkpoints.restore(id)
    expect(sandbox.info).toBe(info)
    expect(await sandbox.files.readText('f')).toBe('before')
    await sandbox.checkpoints.delete('first')
    expect(await sandbox.checkpoints.list()).toEqual([])
  })

  test('are in every copy, each of which goes its own way', async ({ server }) => {
    await using sandbox = await Sandbox.create({ client: server.client(), files: { f: 'same' } })
    const copies = await sandbox.fork({ count: 3 })
    await Promise.all(copies.map((copy) => copy.sh('echo "$(hostname)" >> f')))
    const texts = await Promise.all(copies.map((copy) => copy.files.readText('f')))
    expect(new Set(texts).size).toBe(3)
    expect(await sandbox.files.readText('f')).toBe('same')
    await Promise.all(copies.map((copy) => copy.delete()))
  })

  test('make new sandboxes, after their own has gone', async ({ server }) => {
    const client = server.client()
    const { snapshots } = client
    {
      await using sandbox = await Sandbox.create({ client, env: { A: '1' }, files: { f: 'saved' } })
      await sandbox.snapshot({ name: 'state', env: true, description: 'of a test' })
    }
    await using made = await Sandbox.create({ client, snapshot: 'state' })
    expect((await made.sh('cat f; echo "$A"')).stdout).toBe('saved1\n')
    const snapshot = await snapshots.get('state')
    expect(snapshot).toMatchObject({
      tag: 'latest',
      env: expect.arrayContaining(['A']),
      description: 'of a test',
    })
    expect((await snapshots.lineage('state')).sandboxes).toEqual([made.id])
    expect((await snapshots.tag('state', 'v1')).tag).toBe('v1')
    expect(await snapshots.list({ tag: 'v1' })).toMatchObject([{ id: snapshot.id }])
    await snapshots.delete('state:v1')
    await expect(snapshots.get('state:v1')).rejects.toMatchObject({ code: 'snapshot_not_found' })
    expect(await made.files.readText('f')).toBe('saved')
  })
})

test('a session has one sandbox for all of its turns', async ({ server }) => {
  const { sessions } = server.client()
  const session = await sessions.create({ name: 'turns', metadata: { user: 'u' } })
  expect(session.info.status).toBe('recorded')
  const first = await session.sandbox()
  await first.sh('echo one > workspace/notes')
  await first.pause({ depth: 'workspace' })
  const [found] = await sessions.list({ metadata: { user: 'u' } })
  expect(found!.info.status).toBe('paused')
  expect((await (await found!.sandbox()).sh('cat workspace/notes')).stdout).toBe('one\n')
  await session.delete()
  expect((await sessions.get(session.id)).info.status).toBe('deleted')
  await expect(sessions.get('turns')).rejects.toMatchObject({ code: 'session_not_found' })
})

test('runtimes and the disk are told of', async ({ server }) => {
  const { runtimes, storage } = server.client()
  const all = await runtimes.list()
  expect(await runtimes.get(all[0]!.id)).toEqual(all[0])
  const steps: string[] = []
  const built = await runtimes.build('base:latest', { onStep: (step) => steps.push(step) })
  expect(built).toMatchObject({ id: 'base:latest', built: true })
  expect((await storage.usage()).storage).toBeTruthy()
  expect(await storage.gc({ dryRun: true })).toMatchObject({ dryRun: true })
})
