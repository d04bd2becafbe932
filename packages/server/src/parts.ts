import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { SandboxError } from '@caisson/protocol/errors'
import { type Config, criuOf } from './config.ts'
import { sha256 } from './core/ids.ts'
import { Launcher } from './launcher/client.ts'
import type { Log } from './log.ts'
import type { Driver } from './runtime/driver.ts'
import { LocalDriver } from './runtime/local/index.ts'
import { ManagedDriver } from './runtime/managed.ts'
import { MemoryDriver } from './runtime/memory/index.ts'
import { OciDriver } from './runtime/oci/index.ts'
import { BtrfsLayers } from './storage/btrfs/index.ts'
import { poolSizeOf } from './storage/btrfs/size.ts'
import { CopyLayers } from './storage/copy/index.ts'
import { Catalogue, type Images } from './storage/images/catalogue.ts'
import type { Layers, TreeHand } from './storage/layers.ts'
import { LocalTreeHand } from './storage/local-tree-hand.ts'
import { MemoryLayers } from './storage/memory/index.ts'
import { OverlayLayers } from './storage/overlay/index.ts'
import type { Undo } from './undo.ts'

export interface Parts {
  driver: Driver
  layers: Layers
  images: Images
}

/** The driver and the storage that the configuration names, opened. Closing them leaves sandboxes running. */
export async function openParts(config: Config, log: Log, undo: Undo): Promise<Parts> {
  const launcher = config.driver === 'oci' ? createLauncher(config) : null
  if (launcher !== null) undo.add(() => launcher.close())
  const driver = new ManagedDriver(createDriver(config, launcher), { log })
  await driver.open()
  undo.add(() => driver.close())
  const layers = await openLayers(config, launcher, log)
  return { driver, layers, images: new Catalogue(config) }
}

/** The launcher of a data directory; it is started when it is first asked. */
export function createLauncher(config: Config): Launcher {
  return new Launcher({
    program: config.launcher,
    socket: join(config.dataDir, 'run/launcher.sock'),
    dataDir: config.dataDir,
    imagesDir: config.imagesDir,
    agent: config.agent,
    crun: config.crun,
    seccomp: config.seccomp,
    ...criuOf(config),
    instance: instanceOf(config.dataDir),
    ...(process.getuid?.() !== 0 && { allowUid: process.getuid?.() ?? 0 }),
  })
}

/** Names a data directory in places that all servers of a host share, such as cgroups. */
export function instanceOf(dataDir: string): string {
  return sha256(dataDir).slice(0, 12)
}

function createDriver(config: Config, launcher: Launcher | null): Driver {
  const { dataDir, agent } = config
  if (launcher !== null) return new OciDriver({ launcher, dataDir, crun: config.crun })
  if (config.driver === 'local') return new LocalDriver({ dataDir, agent })
  return new MemoryDriver()
}

/** `auto`: the pool where this host can have one, else an overlay. */
async function openLayers(config: Config, launcher: Launcher | null, log: Log): Promise<Layers> {
  const { dataDir, storage, poolSize } = config
  if (storage === 'auto' || storage === 'btrfs') {
    const maxBytes = await poolSizeOf(dataDir, poolSize)
    try {
      return await openPool(config, launcher, maxBytes, log)
    } catch (err) {
      // What is in a pool must not seem to be gone.
      if (storage === 'btrfs' || hasPool(dataDir)) throw err
      log.warn({ err }, 'there is no storage pool: no snapshots, no forks, no disk limits')
    }
  }
  const layers = createLayers(config, launcher ?? new LocalTreeHand(dataDir))
  await layers.open()
  return layers
}

/** A file, or a directory where the data directory is on btrfs itself. */
function hasPool(dataDir: string): boolean {
  return ['pool.img', 'pool/saves'].some((name) => existsSync(join(dataDir, name)))
}

/** @throws SandboxError `host_not_ready` */
async function openPool(
  config: Config,
  launcher: Launcher | null,
  maxBytes: number,
  log: Log,
): Promise<Layers> {
  const { dataDir, driver } = config
  const began = performance.now()
  try {
    if (launcher === null) throw new Error(`the driver is "${driver}", and only the launcher has pools`)
    const before = new OverlayLayers({ dataDir, hand: launcher })
    const layers = new BtrfsLayers({ hand: launcher.pool, maxBytes, before })
    await layers.open()
    const ms = Math.round(performance.now() - began)
    log.info({ quota: layers.quota, maxBytes: layers.maxDiskBytes, ms }, 'the storage pool is open')
    return layers
  } catch (cause) {
    const what = `there is no storage pool: ${cause instanceof Error ? cause.message : cause}`
    const fix =
      'Install btrfs-progs and load the module (modprobe btrfs), or set the storage to "overlay"; "caisson doctor" says more.'
    throw new SandboxError('host_not_ready', { what, fix }, { cause })
  }
}

function createLayers({ dataDir, imagesDir, storage }: Config, hand: TreeHand): Layers {
  if (storage === 'memory') return new MemoryLayers()
  if (storage === 'copy') return new CopyLayers({ dataDir, imagesDir, hand })
  return new OverlayLayers({ dataDir, hand })
}
