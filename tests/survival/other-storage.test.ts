import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cannotRun, leftovers, untilNone } from '../crash/host.ts'
import { TestServer } from '../fixture.ts'
import { text } from '../saved/world.ts'
import { nothingIsOrphaned } from './world.ts'

/** What a refusal for want of a pool says is to be done. */
const NAMES_BTRFS = { code: 'not_supported', message: expect.stringMatching(/btrfs|caisson doctor/) }

describe.skipIf(cannotRun !== null)('without a pool', () => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await TestServer.start({ config: { storage: 'overlay' } })
    client = server.client()
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  test('pauses of every depth keep what they promise', async () => {
    await using box = await Sandbox.create({ client })
    await text(box, 'mkdir ~/workspace; echo in > ~/workspace/in; echo out > ~/out; echo ram > /dev/shm/ram')
    await box.pause({ depth: 'memory' })
    expect(await text(box, 'cat ~/workspace/in ~/out /dev/shm/ram')).toBe('in\nout\nram')
    await box.pause({ depth: 'filesystem' })
    expect(await text(box, 'cat ~/workspace/in ~/out; ls /dev/shm')).toBe('in\nout')
    await box.pause({ depth: 'workspace' })
    expect(await text(box, 'cat ~/workspace/in; ls')).toBe('in\nworkspace')
  })

  test('a session is paused to its workspace', async () => {
    const session = await client.call('createSession', {})
    const box = await Sandbox.connect(session.sandboxId, { client })
    await text(box, 'echo in > workspace/in; echo out > ~/out')
    await box.pause({ depth: 'workspace' })
    expect(await text(box, 'cat workspace/in; ls')).toBe('in\nworkspace')
    await client.call('deleteSession', { session: session.id })
    await untilNone('nothing is left behind', () => leftovers(server, []))
  })

  test('everything that needs one is refused, with what to do', async () => {
    await using box = await Sandbox.create({ client })
    const refused: Promise<unknown>[] = [
      box.checkpoints.create(),
      box.checkpoints.restore('a'),
      client.call('createSnapshot', { id: box.id }),
      box.fork(),
      box.fork({ memory: true }),
      Sandbox.create({ client, resources: { disk: '1Gi' } }),
      Sandbox.create({ client, packages: ['prettier'] }),
      Sandbox.create({ client, dependencies: ['cowsay'] }),
    ]
    const told = await Promise.allSettled(refused)
    for (const answer of told) expect(answer).toMatchObject({ status: 'rejected', reason: NAMES_BTRFS })
    expect((await client.call('listSandboxes')).total).toBe(1)
    await nothingIsOrphaned(server, client)
  })

  test('the doctor says what is missing, and how to get it', async () => {
    const { stdout } = await server.cli(['doctor', '--json'])
    const checks: { id: string; state: string; detail: string; fix: string }[] = JSON.parse(stdout).checks
    for (const id of ['pool', 'disk-limits'])
      expect(checks.find((check) => check.id === id)).toMatchObject({
        state: 'degraded',
        detail: expect.stringContaining('the storage is set to "overlay"'),
        fix: expect.stringContaining('"btrfs"'),
      })
  })
})

describe.skipIf(cannotRun !== null)('a server that is started with another storage', () => {
  const configure = async (server: TestServer, storage: string) => {
    await server.stop()
    await writeFile(join(server.dataDir, 'caisson.json'), JSON.stringify({ storage }))
    await server.up()
  }

  test.each([
    ['overlay', 'btrfs'],
    ['btrfs', 'overlay'],
  ])('than %s, %s, works on with what runs, and refuses to touch its files', async (first, second) => {
    await using server = await TestServer.start({ config: { storage: first } })
    const client = server.client()
    const [box, doomed, paused] = await Promise.all([1, 2, 3].map(() => Sandbox.create({ client })))
    await text(box!, 'echo kept > ~/kept')
    await text(paused!, 'echo paused > ~/kept')
    const counter = await box!.start(['sh', '-c', 'cat; exit 4'], { stdin: true })
    if (first === 'btrfs') await client.call('createSnapshot', { id: box!.id, name: 'kept' })
    await paused!.pause({ depth: 'filesystem' })
    await configure(server, second)

    expect(await text(box!, 'cat ~/kept')).toBe('kept')
    const refusal = { code: 'not_supported', message: expect.stringContaining(`"storage": "${first}"`) }
    for (const depth of ['filesystem', 'workspace'] as const)
      await expect(box!.pause({ depth })).rejects.toMatchObject(refusal)
    if (second === 'btrfs') {
      await expect(box!.checkpoints.create()).rejects.toMatchObject(refusal)
      await expect(box!.fork()).rejects.toMatchObject(refusal)
      await expect(client.call('createSnapshot', { id: box!.id })).rejects.toMatchObject(refusal)
    } else {
      await expect(Sandbox.create({ client, snapshot: 'kept' })).rejects.toMatchObject(NAMES_BTRFS)
    }
    await expect(paused!.resume()).rejects.toMatchObject({
      code: 'resume_failed',
      message: expect.stringContaining(`"storage": "${first}"`),
    })
    await box!.pause({ depth: 'memory' })
    expect(await text(box!, 'cat ~/kept')).toBe('kept')
    await counter.stdin.end()
    expect((await counter.wait()).exitCode).toBe(4)
    await doomed!.delete()
    await using fresh = await Sandbox.create({ client })
    await fresh.pause({ depth: 'filesystem' })
    expect(await text(fresh, 'echo works')).toBe('works')
    await client.call('collectGarbage', {})

    await fresh.delete()
    await configure(server, first)
    expect(await text(paused!, 'cat ~/kept')).toBe('paused')
    await box!.pause({ depth: 'filesystem' })
    expect(await text(box!, 'cat ~/kept')).toBe('kept')
    if (first === 'btrfs') {
      await using made = await Sandbox.create({ client, snapshot: 'kept' })
      expect(await text(made, 'cat ~/kept')).toBe('kept')
      await client.call('deleteSnapshot', { snapshot: 'kept' })
    }
    for (const sandbox of [box!, paused!]) await sandbox.delete()
    await nothingIsOrphaned(server, client)
  })
})
