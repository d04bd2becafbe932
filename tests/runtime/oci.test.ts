import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, test } from 'vitest'
import { loadConfig } from '../../packages/server/src/config.ts'
import type { Launcher } from '../../packages/server/src/launcher/client.ts'
import { createLauncher } from '../../packages/server/src/parts.ts'
import { driverSuite, NO_NETWORK, type World } from '../../packages/server/src/runtime/conformance.ts'
import { OciDriver } from '../../packages/server/src/runtime/oci/index.ts'
import { BtrfsLayers } from '../../packages/server/src/storage/btrfs/index.ts'
import { Catalogue } from '../../packages/server/src/storage/images/catalogue.ts'
import type { Layers } from '../../packages/server/src/storage/layers.ts'
import { OverlayLayers } from '../../packages/server/src/storage/overlay/index.ts'
import { cannotRun, programInside } from '../launcher/fixture.ts'
import { cannotNetwork, INTERNET, Internet } from '../launcher/network-world.ts'

let last = 0
/** Its host is the launchers' host. */
let internet: Internet | null = null

async function openWorld(): Promise<World> {
  const dataDir = await mkdtemp('/tmp/caisson-oci-')
  const installed = loadConfig()
  const launcherInside = internet && (await programInside(internet.host.name, dataDir, installed.launcher))
  const config = { ...installed, dataDir, launcher: launcherInside ?? installed.launcher }
  const launcher = createLauncher(config)
  const layers = await openLayers(dataDir, launcher)
  const { volumes } = layers
  const image = await new Catalogue(config).resolve('base:latest')
  return {
    driver: () => new OciDriver({ launcher: createLauncher(config), dataDir, crun: config.crun }),
    plan: async () => {
      const id = `sbx_oci_${++last}`
      const root = await layers.prepare(id, { image, layers: [], from: null, diskBytes: null })
      const limits = { memoryBytes: 128 * 2 ** 20, cpuMillis: 1000, pids: 64 }
      return { id, hostname: id.replaceAll('_', '-'), idBase: 0x3000_0000 + last * 65_536, root, limits }
    },
    breakPlan: (plan) => ({
      ...plan,
      root: { ...plan.root, lowers: ['images/missing/rootfs'] } as typeof plan.root,
    }),
    ...(volumes && {
      volume: async () => {
        const volume = `vol_oci_${++last}`
        await volumes.create(volume, null)
        return volume
      },
    }),
    reachable: { address: INTERNET.v4, port: INTERNET.port },
    killAgent: async (id) => {
      const sandbox = (await launcher.list()).find((one) => one.id === id)
      if (sandbox?.pid) process.kill(sandbox.pid, 'SIGKILL')
    },
    leftovers: async (id) => [
      ...readdirSync(join(dataDir, 'run')).filter((name) => name.includes(id)),
      ...(await groups(launcher)).filter((name) => name.includes(id)),
      ...processesNaming(id),
      ...(await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter((line) => line.includes(id)),
    ],
    close: async () => {
      for (const { id } of await launcher.list()) await launcher.delete(id)
      for (const id of await layers.list()) await layers.remove(id)
      for (const volume of (await volumes?.list())?.keys() ?? []) await volumes?.remove(volume)
      await launcher.shutdown()
      await launcher.close()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** The pool where this host can have one, as a server does it. */
async function openLayers(dataDir: string, launcher: Launcher): Promise<Layers> {
  const overlay = new OverlayLayers({ dataDir, hand: launcher })
  const pool = new BtrfsLayers({ hand: launcher.pool, maxBytes: 2 ** 30, before: overlay })
  try {
    await pool.open()
    return pool
  } catch {
    await overlay.open()
    return overlay
  }
}

async function groups(launcher: Launcher): Promise<string[]> {
  const hierarchies = [...(await launcher.hierarchies()).values()]
  return hierarchies.flatMap(({ dir }) => readdirSync(dir))
}

/** Processes of this host whose command line names the sandbox, the test's own aside. */
function processesNaming(id: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`CAISSON_SANDBOX=${id}`)
      } catch {
        return false
      }
    })
}

if (cannotNetwork === null) {
  beforeAll(async () => {
    internet = await Internet.make()
  })
  afterAll(() => internet?.[Symbol.asyncDispose]())
}
if (cannotRun === null) driverSuite('oci', openWorld, cannotNetwork === null ? {} : NO_NETWORK)
else test.skip(`oci driver (${cannotRun})`)
