import { join } from 'node:path'
import type { Config } from './config.ts'
import { sha256 } from './core/ids.ts'
import { Launcher } from './launcher/client.ts'
import type { Log } from './log.ts'
import type { Driver } from './runtime/driver.ts'
import { LocalDriver } from './runtime/local/index.ts'
import { ManagedDriver } from './runtime/managed.ts'
import { MemoryDriver } from './runtime/memory/index.ts'
import { OciDriver } from './runtime/oci/index.ts'
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
  const layers = createLayers(config, launcher ?? new LocalTreeHand(config.dataDir))
  await layers.open()
  await driver.open()
  undo.add(() => driver.close())
  return { driver, layers, images: new Catalogue(config) }
}

function createLauncher(config: Config): Launcher {
  return new Launcher({
    program: config.launcher,
    socket: join(config.dataDir, 'run/launcher.sock'),
    dataDir: config.dataDir,
    imagesDir: config.imagesDir,
    agent: config.agent,
    crun: config.crun,
    seccomp: config.seccomp,
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

function createLayers(config: Config, hand: TreeHand): Layers {
  const { dataDir, imagesDir } = config
  if (config.storage === 'overlay') return new OverlayLayers({ dataDir, hand })
  if (config.storage === 'copy') return new CopyLayers({ dataDir, imagesDir, hand })
  return new MemoryLayers()
}
