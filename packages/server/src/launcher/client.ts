import { stat } from 'node:fs/promises'
import { constants } from 'node:os'
import { type Fields, fields } from '@caisson/protocol/frame-codec'
import { orAborted } from '../abort.ts'
import type { Packet, PacketRules, Pin, Plugged } from '../core/network/types.ts'
import type { Limits, Stage } from '../core/plan.ts'
import { type Answer, type LauncherConnection, LauncherError, LauncherLost } from './connection.ts'
import {
  decodeOwner,
  decodePacket,
  decodePlugged,
  decodeTraffic,
  encodePins,
  encodePlug,
  encodeRules,
  encodeSettings,
  type PlugSettings,
  type RouterSettings,
  type SocketOwner,
  type Traffic,
} from './network-codec.ts'
import { LauncherPool } from './pool.ts'
import { LAUNCHER_GENERATION, LAUNCHER_LIMITS, Message, RootKind, SandboxState, Tag } from './protocol.ts'
import { type LauncherProgram, startLauncher } from './start.ts'

export { LauncherError, LauncherLost } from './connection.ts'

/** A sandbox to start. Which directories it uses follows from its id; `lowers` are `images/…` and, of a pool, `saves/…`. */
export interface LaunchPlan {
  id: string
  hostname: string
  idBase: number
  root: { kind: 'overlay' | 'pool'; lowers: string[] } | { kind: 'directory' }
  limits: Limits
  /** Volumes of the pool, and the absolute paths where the sandbox sees them. */
  volumes?: { volume: string; path: string; readOnly: boolean }[]
  /** Its processes come from this dump. */
  dump?: string
}

export interface LaunchedSandbox {
  id: string
  state: 'starting' | 'running' | 'ending' | 'ended'
  frozen: boolean
  pid: number | null
  /** Clock ticks since boot: with the pid it names one process. */
  startTime: number | null
  /** As wait(2) gives it; null while it runs and when an earlier launcher started it. */
  waitStatus: number | null
}

export interface Hierarchy {
  version: 1 | 2
  /** A sandbox's own directory is `<dir>/<id>`; its files are readable by everyone. */
  dir: string
}

export interface Ability {
  name: string
  ok: boolean
  detail: string
}

type EndedListener = (sandbox: LaunchedSandbox) => void
type PacketListener = (packet: Packet) => void

/**
 * The server's side of the launcher. Connects on first use, starts the launcher when none answers, and connects
 * again when the connection breaks; a request that was under way then fails with `LauncherLost`.
 */
export class Launcher {
  readonly pool = new LauncherPool((type, payload, signal) => this.#request(type, payload, signal))
  #program: LauncherProgram
  #connection: Promise<LauncherConnection> | null = null
  #listeners = new Set<EndedListener>()
  #packetListeners = new Set<PacketListener>()
  /** What the router was last told; null: this client has not asked for one. */
  #routerSettings: RouterSettings | null = null
  /** Ends that the listeners have heard of, so that a reconnection tells only the ones missed. */
  #announced = new Set<string>()
  #closed = false
  /** Whether a lost connection is made again without being asked, for the sake of the listeners. */
  #watching = false

  constructor(program: LauncherProgram) {
    this.#program = program
  }

  /** @throws SandboxError `host_not_ready` when the launcher does not run and cannot be started. */
  async open(signal?: AbortSignal): Promise<void> {
    await this.#connect(signal)
    for (const sandbox of await this.list(signal))
      if (sandbox.state === 'ended') this.#announced.add(sandbox.id)
  }

  /** Resolves when the agent's socket listens. Aborting undoes the start before it rejects. */
  async start(plan: LaunchPlan, signal?: AbortSignal): Promise<{ pid: number; stages: Stage[] }> {
    this.#announced.delete(plan.id)
    const connection = await this.#connect(signal)
    try {
      const { ok } = await this.pool.whileOpen(
        () => connection.request(Message.START, encodePlan(plan), signal),
        signal,
      )
      return { pid: ok.u64(Tag.PID) ?? 0, stages: ok.strings(Tag.STAGE).map(parseStage) }
    } catch (error) {
      // A worker that outlives its launcher finishes the start all the same.
      if (signal?.aborted || error instanceof LauncherLost) await this.delete(plan.id)
      throw error
    }
  }

  /** Ends every process of a sandbox and removes its cgroups and socket. Idempotent. */
  async delete(id: string, signal?: AbortSignal): Promise<void> {
    await this.#repeatable(Message.DELETE, fields().string(Tag.ID, id).encode(), signal)
    this.#announced.delete(id)
  }

  async list(signal?: AbortSignal): Promise<LaunchedSandbox[]> {
    const { items } = await this.#repeatable(Message.LIST, undefined, signal)
    return items.map(parseSandbox)
  }

  /** Creates `sandboxes/<id>/` with an empty upper and work directory owned by container root. */
  async makeSandboxDirs(id: string, signal?: AbortSignal): Promise<void> {
    await this.#request(Message.MAKE_DIRS, fields().string(Tag.ID, id).encode(), signal)
  }

  /** Moves a tree of the data directory into `trash/` and deletes it from there. Nothing to do when absent. */
  async removeTree(path: string, signal?: AbortSignal): Promise<void> {
    await this.#repeatable(Message.REMOVE_TREE, fields().string(Tag.PATH, path).encode(), signal)
  }

  /** See `LauncherPool.keepOnly`; of roots outside a pool, too. */
  keepOnly(id: string, directory: string, opaque: boolean, signal?: AbortSignal): Promise<void> {
    return this.pool.keepOnly(id, directory, opaque, signal)
  }

  /** Answered when no process of the sandbox runs. */
  async freeze(id: string, signal?: AbortSignal): Promise<void> {
    await this.#repeatable(Message.FREEZE, fields().string(Tag.ID, id).encode(), signal)
  }

  /** Nothing to do for one that is not frozen or not there. */
  async thaw(id: string, signal?: AbortSignal): Promise<void> {
    await this.#repeatable(Message.THAW, fields().string(Tag.ID, id).encode(), signal)
  }

  /**
   * Writes a frozen sandbox's processes to a dump; with `end` they are gone then, and nobody is told of an end.
   * @param save the root is saved under this name, as it is in the same moment
   */
  async dump(
    id: string,
    dump: string,
    end: boolean,
    save: string | null,
    signal?: AbortSignal,
  ): Promise<{ bytes: number }> {
    const payload = fields().string(Tag.ID, id).string(Tag.DUMP, dump)
    if (end) payload.u64(Tag.END, 1)
    if (save !== null) payload.string(Tag.SAVE, save)
    const { ok } = await this.#request(Message.DUMP, payload.encode(), signal)
    return { bytes: ok.u64(Tag.BYTES) ?? 0 }
  }

  /** Nothing to do when absent. */
  async removeDump(dump: string, signal?: AbortSignal): Promise<void> {
    await this.#repeatable(Message.REMOVE_DUMP, fields().string(Tag.DUMP, dump).encode(), signal)
  }

  /** What this host can do, by trying. */
  async check(signal?: AbortSignal): Promise<Ability[]> {
    const { ok } = await this.#request(Message.CHECK, undefined, signal)
    return parseAbilities(ok)
  }

  /** What the launcher knows of itself without trying. */
  async abilities(signal?: AbortSignal): Promise<Ability[]> {
    return parseAbilities((await this.#connect(signal)).hello)
  }

  /** Makes the router unless it is there, and replaces its settings. @returns the uplink's addresses on the host. */
  async network(settings: RouterSettings, signal?: AbortSignal): Promise<Plugged> {
    const { ok } = await this.#request(Message.NETWORK, encodeSettings(settings), signal)
    this.#routerSettings = settings
    return decodePlugged(ok)
  }

  /** Gives a running sandbox its interface, which refuses everything; of one that has it, sets the limits. */
  async plug(id: string, settings: PlugSettings, signal?: AbortSignal): Promise<Plugged> {
    const payload = encodePlug(id, settings)
    try {
      return decodePlugged((await this.#request(Message.PLUG, payload, signal)).ok)
    } catch (error) {
      // A launcher that replaces one that ended with nothing plugged has no router yet.
      const isMissing = error instanceof LauncherError && error.errno === constants.errno.ENOTCONN
      if (!isMissing || this.#routerSettings === null) throw error
      await this.network(this.#routerSettings, signal)
      return decodePlugged((await this.#request(Message.PLUG, payload, signal)).ok)
    }
  }

  /** Takes the interface away. Nothing to do without one. */
  async unplug(id: string, signal?: AbortSignal): Promise<void> {
    await this.#request(Message.UNPLUG, fields().string(Tag.ID, id).encode(), signal)
  }

  /** Replaces all rules and pins of a plugged sandbox. */
  async setRules(id: string, rules: PacketRules, pins: Pin[], signal?: AbortSignal): Promise<void> {
    const first = pins.slice(0, LAUNCHER_LIMITS.MAX_PINS)
    await this.#request(Message.RULES, encodeRules(id, rules, first), signal)
    await this.pin(id, pins.slice(first.length), signal)
  }

  async pin(id: string, pins: Pin[], signal?: AbortSignal): Promise<void> {
    for (let at = 0; at < pins.length; at += LAUNCHER_LIMITS.MAX_PINS) {
      const some = pins.slice(at, at + LAUNCHER_LIMITS.MAX_PINS)
      await this.#request(Message.PIN, encodePins(id, some), signal)
    }
  }

  /** Every plugged sandbox, or this one, with the bytes that it has sent and received since it was plugged. */
  async traffic(id?: string, signal?: AbortSignal): Promise<Map<string, Traffic>> {
    const payload = id === undefined ? undefined : fields().string(Tag.ID, id).encode()
    const { items } = await this.#request(Message.TRAFFIC, payload, signal)
    return new Map(items.map(decodeTraffic))
  }

  /** Who in a sandbox holds the socket with this local port; null: nobody. */
  async owner(
    id: string,
    protocol: 'tcp' | 'udp',
    port: number,
    signal?: AbortSignal,
  ): Promise<SocketOwner | null> {
    const number = protocol === 'tcp' ? 6 : 17
    const payload = fields().string(Tag.ID, id).u64(Tag.PROTOCOL, number).u64(Tag.PORT, port).encode()
    return decodeOwner((await this.#request(Message.OWNER, payload, signal)).ok)
  }

  /** Calls back for first packets of sandboxes, as many as the router tells of. @returns the undo. */
  onPacket(listener: PacketListener): () => void {
    this.#packetListeners.add(listener)
    return () => this.#packetListeners.delete(listener)
  }

  /** Cgroup hierarchies by controller: memory, cpu, pids and, on v1, cpuacct. */
  async hierarchies(signal?: AbortSignal): Promise<Map<string, Hierarchy>> {
    const { hello } = await this.#connect(signal)
    return new Map(
      hello.strings(Tag.CGROUP).map((line) => {
        const [controller = '', version = '', dir = ''] = line.split('\t')
        return [controller, { version: version === '2' ? 2 : 1, dir }]
      }),
    )
  }

  /** Process id of the launcher. */
  async pid(signal?: AbortSignal): Promise<number> {
    const { hello } = await this.#connect(signal)
    return hello.u64(Tag.PID) ?? 0
  }

  /** Ends the launcher; sandboxes go on, and the next request starts another. */
  async shutdown(signal?: AbortSignal): Promise<void> {
    const connection = await this.#connect(signal)
    this.#watching = false
    await connection.request(Message.SHUTDOWN, undefined, signal)
    await connection.closed
  }

  /** Calls back once for every sandbox that ends from now on. @returns the undo. */
  onEnded(listener: EndedListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#closed = true
    const connection = await this.#connection?.catch(() => null)
    connection?.close()
  }

  async #request(type: number, payload: Uint8Array | undefined, signal?: AbortSignal): Promise<Answer> {
    const connection = await this.#connect(signal)
    return await connection.request(type, payload, signal)
  }

  /** For what may be done twice: once more, by the next launcher, when this one ended under it. */
  async #repeatable(type: number, payload: Uint8Array | undefined, signal?: AbortSignal): Promise<Answer> {
    const connection = await this.#connect(signal)
    try {
      return await connection.request(type, payload, signal)
    } catch (error) {
      if (!(error instanceof LauncherLost) || this.#closed) throw error
      await connection.closed
      return await this.#request(type, payload, signal)
    }
  }

  #connect(signal?: AbortSignal): Promise<LauncherConnection> {
    if (this.#closed) return Promise.reject(new LauncherLost('The launcher client is closed'))
    // One attempt serves every caller, so one caller's abort must not end it.
    this.#connection ??= this.#establish()
    return orAborted(this.#connection, signal)
  }

  async #establish(): Promise<LauncherConnection> {
    try {
      const connection = await this.#openCurrent()
      this.#watching = true
      void connection.closed.then(() => this.#lost())
      return connection
    } catch (error) {
      this.#connection = null
      throw error
    }
  }

  /** A launcher from before an upgrade is asked to make room: its sandboxes do not depend on it. */
  async #openCurrent(): Promise<LauncherConnection> {
    const onEvent = (type: number, event: Fields) => {
      if (type === Message.ENDED) this.#announce(parseSandbox(event))
      if (type === Message.PACKET) this.#tellPacket(event)
    }
    const first = await startLauncher(this.#program, onEvent)
    const current = first.hello.u64(Tag.GENERATION) === LAUNCHER_GENERATION
    if (current && !(await this.#rebuiltSince())) return first
    await first.request(Message.SHUTDOWN)
    await first.closed
    return await startLauncher(this.#program, onEvent)
  }

  /** Whether the launcher, or what it holds copies of, was built after it began to listen. */
  async #rebuiltSince(): Promise<boolean> {
    const { socket, program, agent, seccomp, criu } = this.#program
    const times = await Promise.all(
      [socket, program, agent, seccomp].map(async (path) => (await stat(path)).mtimeMs),
    )
    // What it can do with it, it has found out when it began.
    if (criu !== undefined)
      times.push(
        await stat(criu).then(
          ({ mtimeMs }) => mtimeMs,
          () => 0,
        ),
      )
    const [began = 0, ...built] = times
    return built.some((time) => time > began)
  }

  #lost(): void {
    this.#connection = null
    if (this.#closed || !this.#watching) return
    void this.list().then(
      (sandboxes) => {
        for (const sandbox of sandboxes) if (sandbox.state === 'ended') this.#announce(sandbox)
      },
      // The next request tries again and has a caller to tell.
      () => {},
    )
  }

  #tellPacket(event: Fields): void {
    const packet = this.#packetListeners.size > 0 ? decodePacket(event) : null
    if (packet !== null) for (const listener of this.#packetListeners) listener(packet)
  }

  #announce(sandbox: LaunchedSandbox): void {
    if (this.#announced.has(sandbox.id)) return
    this.#announced.add(sandbox.id)
    for (const listener of this.#listeners) listener(sandbox)
  }
}

const ROOT_KINDS = {
  overlay: RootKind.OVERLAY,
  directory: RootKind.DIRECTORY,
  pool: RootKind.POOL,
} as const

function encodePlan(plan: LaunchPlan): Uint8Array {
  const out = fields()
    .string(Tag.ID, plan.id)
    .string(Tag.HOSTNAME, plan.hostname)
    .u64(Tag.ID_BASE, plan.idBase)
    .u64(Tag.ROOT_KIND, ROOT_KINDS[plan.root.kind])
    .strings(Tag.LOWER, plan.root.kind === 'directory' ? [] : plan.root.lowers)
    .u64(Tag.MEMORY, plan.limits.memoryBytes)
    .u64(Tag.CPU, plan.limits.cpuMillis)
    .u64(Tag.PIDS, plan.limits.pids)
    .strings(Tag.VOLUME_MOUNT, (plan.volumes ?? []).map(toVolumeMount))
  if (plan.dump !== undefined) out.string(Tag.DUMP, plan.dump)
  return out.encode()
}

function toVolumeMount({ volume, path, readOnly }: NonNullable<LaunchPlan['volumes']>[number]): string {
  return `${volume}\t${readOnly ? 'ro' : 'rw'}\t${path}`
}

function parseAbilities(answer: Fields): Ability[] {
  return answer.strings(Tag.ABILITY).map((line) => {
    const [name = '', state = '', detail = ''] = line.split('\t')
    return { name, ok: state === 'ok', detail }
  })
}

function parseStage(line: string): Stage {
  const [name = '', usec = '0'] = line.split('\t')
  return { name, ms: Number(usec) / 1000 }
}

const STATES = {
  [SandboxState.STARTING]: 'starting',
  [SandboxState.RUNNING]: 'running',
  [SandboxState.ENDING]: 'ending',
  [SandboxState.ENDED]: 'ended',
} as const

function parseSandbox(item: Fields): LaunchedSandbox {
  const state = item.u64(Tag.STATE) as keyof typeof STATES | undefined
  return {
    id: item.string(Tag.ID) ?? '',
    state: (state && STATES[state]) ?? 'ended',
    frozen: item.u64(Tag.FROZEN) === 1,
    pid: item.u64(Tag.PID) ?? null,
    startTime: item.u64(Tag.START_TIME) ?? null,
    waitStatus: item.u64(Tag.WAIT_STATUS) ?? null,
  }
}
