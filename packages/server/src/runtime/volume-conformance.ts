import { expect } from 'vitest'
import type { SandboxPlan } from '../core/plan.ts'
import type { Guest } from '../guest/guest.ts'
import type { Driver } from './driver.ts'
import type { Skip } from './memory-conformance.ts'

export const VOLUME_TESTS = [
  'a volume is the same for all sandboxes that have it, and for no other',
  'a volume that a sandbox has read-only cannot be changed by it',
  'a volume stays as it is when its sandboxes end',
  'a sandbox with a volume is not dumped, and goes on',
] as const
export type VolumeTest = (typeof VOLUME_TESTS)[number]

/** Reasons for a driver without volumes. */
export const NO_VOLUMES = Object.fromEntries(
  VOLUME_TESTS.map((title) => [title, 'it has no volumes']),
) as Record<VolumeTest, string>

/** What the tests need of a bench. */
export interface VolumeBench {
  readonly driver: Driver
  readonly world: { plan(): Promise<SandboxPlan>; volume?(): Promise<string> }
  connect(id: string): Promise<Guest>
  echo(guest: Guest, text: string): Promise<string>
}

type It = (title: VolumeTest, run: (bench: VolumeBench, skip: Skip) => Promise<void>) => void
type ItWith = (title: VolumeTest, run: (bench: VolumeBench, volume: string) => Promise<void>) => void

export function volumeTests(it: It): void {
  const withVolume: ItWith = (title, run) =>
    it(title, async (bench, skip) => {
      const volume = await bench.world.volume?.()
      await run(bench, volume ?? skip('the storage of this host has no volumes'))
    })
  sharingTests(withVolume)
  endingTests(withVolume)
}

function sharingTests(it: ItWith): void {
  it('a volume is the same for all sandboxes that have it, and for no other', async (bench, volume) => {
    const [one, two, other] = [
      await start(bench, { volume, path: '/data' }),
      await start(bench, { volume, path: '/srv/deep/er' }),
      await start(bench),
    ]
    await write(one.guest, '/data/file', 'shared')
    expect(await read(two.guest, '/srv/deep/er/file')).toBe('shared')
    await write(two.guest, '/srv/deep/er/file', 'changed')
    expect(await read(one.guest, '/data/file')).toBe('changed')
    await expect(read(other.guest, '/data/file')).rejects.toMatchObject({ code: 'file_not_found' })
  })

  it('a volume that a sandbox has read-only cannot be changed by it', async (bench, volume) => {
    const writer = await start(bench, { volume, path: '/data' })
    const reader = await start(bench, { volume, path: '/data', readOnly: true })
    await write(writer.guest, '/data/file', 'text')
    expect(await read(reader.guest, '/data/file')).toBe('text')
    await expect(write(reader.guest, '/data/file', 'other')).rejects.toThrow()
    await expect(reader.guest.files.remove('/data/file', {})).rejects.toThrow()
    expect(await read(writer.guest, '/data/file')).toBe('text')
  })
}

function endingTests(it: ItWith): void {
  it('a volume stays as it is when its sandboxes end', async (bench, volume) => {
    const first = await start(bench, { volume, path: '/data' })
    await write(first.guest, '/data/file', 'kept')
    await bench.driver.stop(first.id)
    const second = await start(bench, { volume, path: '/other' })
    expect(await read(second.guest, '/other/file')).toBe('kept')
  })

  it('a sandbox with a volume is not dumped, and goes on', async (bench, volume) => {
    const { id, guest } = await start(bench, { volume, path: '/data' })
    const hand = bench.driver.memory
    if (hand === undefined) return
    guest.close()
    await guest.closed
    await hand.freeze(id)
    for (const end of [true, false])
      await expect(hand.dump(id, 'dmp_3', end)).rejects.toThrow('it has a volume')
    expect(await hand.listDumps()).toEqual([])
    expect(await bench.driver.list()).toEqual([{ id, running: true, frozen: true }])
    await hand.thaw(id)
    expect(await bench.echo(await bench.connect(id), 'awake')).toBe('awake\n')
  })
}

async function start(
  bench: VolumeBench,
  ...volumes: { volume: string; path: string; readOnly?: boolean }[]
): Promise<{ id: string; guest: Guest }> {
  const plan = await bench.world.plan()
  const mounts = volumes.map((mount) => ({ readOnly: false, ...mount }))
  await bench.driver.start({ ...plan, volumes: mounts })
  return { id: plan.id, guest: await bench.connect(plan.id) }
}

async function write({ files }: Guest, path: string, text: string): Promise<void> {
  await files.write(path, Buffer.from(text), {})
}

async function read({ files }: Guest, path: string): Promise<string> {
  const { data } = await files.read(path, {})
  const parts: Uint8Array[] = []
  for await (const part of data) parts.push(Buffer.from(part))
  return String(Buffer.concat(parts))
}
