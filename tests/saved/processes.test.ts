import { readdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { type Client, Sandbox, SandboxError } from 'caisson'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { TestServer } from '../fixture.ts'
import { build } from '../templates/world.ts'
import { cannotSave, crash, garbage, nothingIsOrphaned, startSaving, text } from './world.ts'

const COUNT = 'i=0; while :; do i=$((i+1)); echo $i > /tmp/i; sleep 0.02; done'
/** Which start of it is running, and in which environment. */
const PROGRAM = 'echo x >> ~/starts; wc -l < ~/starts > /tmp/start; echo "$WHO" > /tmp/who; exec sleep 4321'

describe.skipIf(cannotSave !== null)('saved processes', () => {
  let server: TestServer
  let client: Client
  let box: Sandbox
  /** Why this host keeps none; null when it does. */
  let cannot: string | null = null

  beforeAll(async () => {
    server = await startSaving()
    client = server.client()
    box = (await Sandbox.create({ client, env: { A: '1' } })).keep()
    await box.start(['sh', '-c', COUNT])
    await text(box, 'until [ -s /tmp/i ]; do sleep 0.01; done')
    await box.snapshot({ name: 'first', memory: true }).catch((error) => {
      if (!SandboxError.is(error, 'not_supported')) throw error
      cannot = error.details.reason
    })
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })
  beforeEach((context) => {
    if (cannot !== null) context.skip(cannot)
  })

  const counted = async (of: Sandbox) => Number(await text(of, 'cat /tmp/i'))
  const dumps = () => readdir(join(server.dataDir, 'dumps'))

  async function counts(of: Sandbox): Promise<void> {
    const seen = await counted(of)
    await expect.poll(() => counted(of), { timeout: 20_000 }).toBeGreaterThan(seen)
  }

  test('go on in every sandbox of their snapshot, which is somebody else, also after a restart', async () => {
    const before = await counted(box)
    const kept = await dumps()
    const snapshot = await box.snapshot({ name: 'counting', memory: true })
    expect(snapshot.memory).toBe(true)
    await counts(box)
    await server.restart()
    const identities = new Set<string>()
    for (let copy = 0; copy < 2; copy++) {
      await using made = await Sandbox.create({ client, snapshot: 'counting' })
      expect(await counted(made)).toBeGreaterThanOrEqual(before)
      await counts(made)
      identities.add(await text(made, 'hostname; cat /etc/machine-id'))
    }
    expect(identities.size).toBe(2)
    await using anew = await Sandbox.create({ client, snapshot: 'counting', processes: false })
    const last = await counted(anew)
    await text(anew, 'sleep 0.2')
    expect(await counted(anew)).toBe(last)
    await client.snapshots.delete('counting')
    expect(await dumps()).toEqual(kept)
    expect(await garbage(client)).toEqual([])
  })

  test('are refused where they cannot be, or nobody could say what is in them', async () => {
    const refused = (reason: RegExp) => ({
      code: 'not_supported',
      details: { reason: expect.stringMatching(reason) },
    })
    await expect(box.snapshot({ name: 'open', memory: true, public: true })).rejects.toMatchObject(
      refused(/secrets/),
    )
    await client.call('createVolume', { name: 'shared' })
    const volumes = [{ volume: 'shared', path: '/shared' }]
    await expect(Sandbox.create({ client, snapshot: 'first', volumes })).rejects.toMatchObject(
      refused(/volumes are mounted.*"processes": false/),
    )
    await expect(Sandbox.create({ client, processes: true })).rejects.toMatchObject(refused(/has none/))
    await using mounted = await Sandbox.create({ client, snapshot: 'first', volumes, processes: false })
    await expect(mounted.snapshot({ memory: true })).rejects.toMatchObject(refused(/volumes/))
    const sandbox = { snapshot: 'first', processes: true }
    await expect(client.call('createSession', { sandbox })).rejects.toMatchObject(refused(/session/))
    expect(await garbage(client)).toEqual([])
  })

  test('of a template are its program, which goes on where nothing that was asked matters to it', async () => {
    const built = await build(client, 'kept', {
      from: { runtime: 'base' },
      startCommand: PROGRAM,
      readyCommand: 'test -s /tmp/who',
    })
    expect(built.reason).toBeNull()
    const told = async (more = {}) => {
      await using made = await Sandbox.create({ client, template: 'kept', ...more })
      // Awaited here: it is deleted at the end of this block.
      return await text(made, 'cat /tmp/start; cat /tmp/who; pgrep -fc "^sleep 4321"')
    }
    expect(await told()).toBe('1\n\n1')
    expect(await told({ processes: true })).toBe('1\n\n1')
    expect(await told({ env: { WHO: 'me' } })).toBe('2\nme\n1')
    expect(await told({ processes: false })).toBe('2\n\n1')
    await expect(told({ env: { WHO: 'me' }, processes: true })).rejects.toMatchObject({
      code: 'not_supported',
    })
  })

  test('that are damaged are told of; a program is started anew instead', async () => {
    await using other = await startSaving()
    const client = other.client()
    await using original = await Sandbox.create({ client })
    await original.start(['sleep', '1000'])
    await original.snapshot({ name: 'cut', memory: true })
    await build(client, 'cut', { from: { runtime: 'base' }, startCommand: PROGRAM })
    const folder = join(other.dataDir, 'dumps')
    for (const dump of await readdir(folder))
      for (const file of await readdir(join(folder, dump), { recursive: true }))
        if (file.endsWith('inventory.img')) await truncate(join(folder, dump, file), 4)
    await expect(Sandbox.create({ client, snapshot: 'cut' })).rejects.toMatchObject({ code: 'create_failed' })
    await using anew = await Sandbox.create({ client, snapshot: 'cut', processes: false })
    expect(await text(anew, 'echo here')).toBe('here')
    await using started = await Sandbox.create({ client, template: 'cut' })
    await expect.poll(() => text(started, 'cat /tmp/start || true')).toBe('2')
    expect((await client.call('listSandboxes', {})).total).toBe(3)
  })

  test.each(['fork:dumped', 'snapshot:saved', 'snapshot:recorded', 'snapshot:deleted'])(
    'leave nothing behind when the server dies at %s',
    async (place) => {
      const kept = await dumps()
      await crash(server, place, async () => {
        await box.snapshot({ name: 'dying', memory: true })
        await client.snapshots.delete('dying')
      })
      await counts(box)
      await client.snapshots.delete('dying').catch((error) => {
        if (!SandboxError.is(error, 'snapshot_not_found')) throw error
      })
      await client.call('collectGarbage', { dryRun: false })
      expect(await dumps()).toEqual(kept)
      await nothingIsOrphaned(server, client, { living: true })
    },
  )

  test('of a runtime’s program leave nothing behind when the server dies as it is kept', async () => {
    const kept = await dumps()
    const made = await crash(server, 'program:saved', () =>
      Sandbox.create({ client, runtime: 'code-interpreter:v1' }),
    )
    expect(made).not.toBeNull()
    expect((await client.call('getSandbox', { id: made!.id })).status).toBe('idle')
    await made!.delete()
    await client.call('collectGarbage', { dryRun: false })
    expect(await dumps()).toEqual(kept)
    await nothingIsOrphaned(server, client, { living: true })
  })
})
