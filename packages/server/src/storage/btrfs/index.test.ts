import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { Launcher } from '../../launcher/client.ts'
import { type Bench, layersSuite } from '../conformance.ts'
import { OverlayLayers } from '../overlay/index.ts'
import { BtrfsLayers } from './index.ts'

const EMPTY = { image: null, layers: [], from: null, diskBytes: null }
const build = resolve(import.meta.dirname, '../../../../../native/build')

/** Why there can be no pool here; null: there can. */
function cannotRun(): string | null {
  if (process.getuid?.() !== 0) return 'the launcher needs root'
  if (!existsSync(join(build, 'launcher'))) return 'native/build is not built (make -C native)'
  try {
    execFileSync('mkfs.btrfs', ['--version'], { stdio: 'ignore' })
  } catch {
    return 'mkfs.btrfs is not installed'
  }
  return existsSync('/sys/fs/btrfs') ? null : 'the kernel has no btrfs'
}

/** Clients of the launcher of each data directory. */
const users = new Map<string, number>()

/** The pool is mounted where only the launcher sees it: the test looks with its eyes. */
async function open(dataDir: string): Promise<Required<Bench> & { pid: number; before: OverlayLayers }> {
  await mkdir(join(dataDir, 'run'), { recursive: true, mode: 0o700 })
  const launcher = new Launcher({
    program: join(build, 'launcher'),
    socket: join(dataDir, 'run/launcher.sock'),
    dataDir,
    imagesDir: join(dataDir, 'images'),
    agent: join(build, 'agent'),
    crun: '/usr/bin/crun',
    seccomp: join(build, 'seccomp.bpf'),
    instance: `layers_${process.pid}`,
  })
  await launcher.open()
  users.set(dataDir, (users.get(dataDir) ?? 0) + 1)
  const pid = await launcher.pid()
  const before = new OverlayLayers({ dataDir, hand: launcher })
  return {
    pid,
    before,
    layers: new BtrfsLayers({ hand: launcher.pool, maxBytes: 2 ** 30, before }),
    files: (id) => `/proc/${pid}/root${dataDir}/pool/sandboxes/${id}/upper`,
    volume: (id) => `/proc/${pid}/root${dataDir}/pool/volumes/${id}`,
    close: async () => {
      // Of several on one directory the last one ends it.
      const left = (users.get(dataDir) ?? 1) - 1
      users.set(dataDir, left)
      if (left === 0) await launcher.shutdown().catch(() => {})
      await launcher.close()
    },
  }
}

const reason = cannotRun()
if (reason === null) {
  layersSuite('btrfs', open)

  test('a launcher that has died is replaced, and the next one opens the pool again', async () => {
    await using world = await directory()
    const bench = await open(world.path)
    await bench.layers.open()
    await bench.layers.prepare('sb_1', EMPTY)
    process.kill(bench.pid, 'SIGKILL')
    // What is asked while the connection breaks is lost; what comes then is not.
    await bench.layers.list().catch(() => [])
    expect(await bench.layers.list()).toEqual(['sb_1'])
    await bench.layers.saves?.save('sb_1', 'sav_1')
    expect((await bench.layers.usage?.())?.saves.has('sav_1')).toBe(true)
    await bench.layers.saves?.remove('sav_1')
    await bench.layers.remove('sb_1')
    await bench.close()
  })

  test('roots from before there was a pool are listed and removed', async () => {
    await using world = await directory()
    const bench = await open(world.path)
    await bench.before.open()
    await bench.before.prepare('sb_old', { ...EMPTY, image: null })
    await bench.layers.open()
    await bench.layers.prepare('sb_new', EMPTY)
    expect((await bench.layers.list()).sort()).toEqual(['sb_new', 'sb_old'])
    await bench.layers.remove('sb_old')
    await bench.layers.remove('sb_old')
    expect(await bench.layers.list()).toEqual(['sb_new'])
    expect(await readdir(join(world.path, 'sandboxes'))).toEqual([])
    await bench.layers.remove('sb_new')
    await bench.close()
  })
} else test.skip(`storage btrfs (${reason})`)

async function directory(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'caisson-btrfs-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
