import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { leftovers, untilNone } from '../crash/host.ts'
import type { TestServer } from '../fixture.ts'
import { cannotSave, startSaving, text } from '../saved/world.ts'

/** Adds a line to a file of the volume for ever. */
const COUNT = 'i=0; while :; do i=$((i+1)); echo $i >> /data/counted; sleep 0.02; done'

describe.skipIf(cannotSave !== null)('a sandbox with volumes', () => {
  let server: TestServer
  let client: Client
  let last = 0

  beforeAll(async () => {
    server = await startSaving({ env: { CAISSON_DUMP_AFTER: '100ms' } })
    client = server.client()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  /** A new volume and a sandbox that has it at /data. */
  async function make(): Promise<{ volume: string; box: Sandbox }> {
    const { name } = await client.volumes.create({ name: `volume-${++last}` })
    return { volume: name, box: await Sandbox.create({ client, volumes: [{ volume: name, path: '/data' }] }) }
  }
  const counted = async (of: Sandbox) => Number(await text(of, 'tail -n 1 /data/counted'))
  const goesOn = async (of: Sandbox) => {
    const before = await counted(of)
    await expect.poll(() => counted(of), { timeout: 20_000 }).toBeGreaterThan(before)
  }

  test('stays in RAM when it is paused, and goes on from there', async () => {
    const { volume, box } = await make()
    await using undo = new AsyncDisposableStack()
    undo.defer(() => box.delete())
    await box.start(['sh', '-c', COUNT])
    await expect.poll(() => counted(box)).toBeGreaterThan(0)
    await box.pause({ depth: 'memory' })
    await expect
      .poll(async () => (await box.events({ type: 'pause:failed' })).map(({ payload }) => payload.reason))
      .toEqual([expect.stringContaining('it has a volume')])
    expect((await box.refresh()).info.pause).toMatchObject({ depth: 'memory', memory: 'ram' })
    await using other = await Sandbox.create({ client, volumes: [{ volume, path: '/seen' }] })
    const still = await text(other, 'tail -n 1 /seen/counted')
    expect(await text(other, 'sleep 0.3; tail -n 1 /seen/counted')).toBe(still)
    await expect(client.volumes.delete(volume)).rejects.toMatchObject({ code: 'volume_in_use' })
    await box.resume()
    await goesOn(box)
  })

  test('has them again when it is started anew, and nothing of them is in its files', async () => {
    const { volume, box } = await make()
    await using undo = new AsyncDisposableStack()
    undo.defer(() => box.delete())
    await text(box, 'echo kept > /data/file; echo own > ~/own')
    await box.checkpoints.create('then')
    await box.pause({ depth: 'filesystem' })
    await box.resume()
    expect(await text(box, 'cat /data/file ~/own')).toBe('kept\nown')
    await text(box, 'echo later > /data/file; echo later > ~/own')
    await box.checkpoints.restore('then')
    expect(await text(box, 'cat /data/file ~/own')).toBe('later\nown')
    const snapshot = await client.snapshots.create(box.id, { name: `snapshot-${last}` })
    await using plain = await Sandbox.create({ client, snapshot: snapshot.id })
    expect(await text(plain, 'cat ~/own; ls -A /data')).toBe('own')
    expect((await client.volumes.get(volume)).mounts).toHaveLength(1)
  })

  test('is forked with them, but not with its memory', async () => {
    const { box } = await make()
    await using undo = new AsyncDisposableStack()
    undo.defer(() => box.delete())
    await text(box, 'echo first > /data/file')
    const [fork] = await box.fork()
    undo.defer(async () => fork?.delete())
    await text(fork as Sandbox, 'echo second > /data/file')
    expect(await text(box, 'cat /data/file')).toBe('second')
    await expect(box.fork({ memory: true })).rejects.toMatchObject({
      code: 'not_supported',
      details: { reason: expect.stringContaining('volumes') },
    })
    expect(await text(box, 'cat /data/file')).toBe('second')
  })

  test('keeps them when its server is killed, and leaves no mount when it ends', async () => {
    const { volume, box } = await make()
    await box.start(['sh', '-c', COUNT])
    await server.restart()
    await goesOn(box)
    await server.kill9()
    await server.up()
    await goesOn(box)
    await box.delete()
    await client.volumes.delete(volume)
    await untilNone('nothing is left', () => leftovers(server, []))
  })
})
