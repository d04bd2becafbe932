import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pino } from 'pino'
import { type Config, loadConfig } from '../config.ts'
import type { Driver } from '../runtime/driver.ts'
import { MemoryDriver, MemoryHost } from '../runtime/memory/index.ts'
import { createMemoryStore } from '../state/memory/index.ts'
import { OutputLogs } from '../state/output-log.ts'
import { Catalogue } from '../storage/images/catalogue.ts'
import { MemoryLayers } from '../storage/memory/index.ts'
import type { Context } from './context.ts'
import { createUseCases } from './index.ts'
import { FakeDoors, FakeRouter } from './network/fake-router.test-kit.ts'
import { SandboxNetworks } from './network/index.ts'
import { watchPackets } from './network/packets.ts'
import { Reaper } from './reaper.ts'
import { reconcile } from './reconcile.ts'
import type { UseCases } from './use-cases.ts'
import { watchEnds } from './watch-ends.ts'

/** A server without its doors. */
export interface Server {
  context: Context
  useCases: UseCases
  /** Its doors at the router, once they were opened. */
  doors: FakeDoors[]
  /** Its death: nothing of it does anything any more, and sandboxes go on. */
  die(): void
}

/** What outlives a server: the host with its sandboxes, the store, the roots and the output. */
export class World implements AsyncDisposable {
  readonly host = new MemoryHost()
  readonly store = createMemoryStore()
  readonly layers = new MemoryLayers()
  readonly router = new FakeRouter()
  readonly #dataDir: string
  readonly #servers: Server[] = []

  private constructor(dataDir: string) {
    this.#dataDir = dataDir
  }

  static async make(): Promise<World> {
    return new World(await mkdtemp(join(tmpdir(), 'caisson-sandboxes-')))
  }

  /** A server on this world. `driver` may change what the memory driver does; `network`: sandboxes can have one. */
  async server(
    options: {
      config?: Partial<Config>
      driver?: (driver: MemoryDriver) => Driver
      network?: { addresses: () => string[] }
    } = {},
  ): Promise<Server> {
    const config = loadConfig({ dataDir: this.#dataDir, driver: 'memory', ...options.config }, {})
    const memory = new MemoryDriver(this.host)
    const log = pino({ level: 'silent' })
    const doors: FakeDoors[] = []
    const networks =
      options.network === undefined
        ? null
        : new SandboxNetworks({
            config,
            log,
            store: this.store,
            hand: this.router,
            openDoors: FakeDoors.opener(doors),
            ...options.network,
          })
    let reaper: Reaper | undefined
    const context: Context = {
      config,
      log,
      store: this.store,
      layers: this.layers,
      driver: options.driver?.(memory) ?? memory,
      images: new Catalogue(config),
      outputs: new OutputLogs(join(this.#dataDir, 'executions')),
      host: { memoryBytes: 2 ** 34, cpus: 4 },
      signingKey: Buffer.alloc(32, 7),
      doors: { url: null, ssh: null },
      failpoint: () => {},
      networks,
      live: new Map(),
      paused: new Map(),
      heldSaves: new Map(),
      idBases: new Set(),
      joined: new Map(),
      reschedule: () => reaper?.reschedule(),
      startedAt: Date.now(),
      version: '0.0.0',
      stopping: false,
    }
    reaper = new Reaper(context)
    const unwatch = [watchEnds(context), watchPackets(context)]
    const server: Server = {
      context,
      useCases: createUseCases(context),
      doors,
      die: () => {
        context.stopping = true
        reaper.stop()
        for (const undo of unwatch) undo()
        for (const live of context.live.values()) live.drop()
      },
    }
    this.#servers.push(server)
    await reconcile(context)
    return server
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) server.die()
    for (const id of [...this.host.sandboxes.keys()]) this.host.end(id, 'SIGKILL')
    await rm(this.#dataDir, { recursive: true, force: true })
  }
}

/** All output of an execution as text, and its record at the end. */
export async function follow(server: Server, execution: string) {
  const output = await server.useCases.readOutput(execution, { offset: 0 }, true)
  let text = ''
  for await (const { data } of output.chunks) text += Buffer.from(data).toString()
  return { text, ...(await output.result()) }
}

/** Waits until `condition` holds; fails after ten seconds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 10_000; !(await condition()); await delay(5))
    if (Date.now() > end) throw new Error('waited in vain')
}
