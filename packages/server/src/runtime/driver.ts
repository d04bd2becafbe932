import type { Duplex } from 'node:stream'
import type { NetworkRecord, Packet, PacketRules, Pin, Plugged, RouterFacts } from '../core/network/types.ts'
import type { Limits, RootPlan, SandboxPlan, Stage } from '../core/plan.ts'

/**
 * A driver is WHERE sandboxes run. It manages life and hands over a byte channel to the agent; exec, files and
 * terminals are the agent's business and look the same on every driver.
 *
 * Words: a sandbox *runs* from a successful `start` until it has *ended*, by `stop` or by itself. The kernel (or
 * the engine behind the driver) is the truth: a driver keeps no list of its own that a killed server could lose,
 * and `list` finds what an earlier server started.
 *
 * Life: `open` once → `start` → any number of `connect` → `stop`. `start` resolves when the agent's socket
 * accepts connections; a failed or aborted `start` leaves nothing behind. `stop` is idempotent, ends every
 * process, and resolves when they are gone. Ids are never reused.
 *
 * A member that is optional is a capability: absent means that the driver cannot do it, and the request is
 * refused in one place with `not_supported`.
 */
export interface Driver {
  readonly name: string
  /** What stands between a sandbox and the host, as a sentence for people (`caisson doctor`, create answers). */
  readonly isolation: string
  /** The user that commands and files belong to when a request names none; null: the one the agent runs as. */
  readonly defaultUser: string | null
  /** The kinds of root file system that `start` accepts. */
  readonly roots: readonly RootPlan['kind'][]
  /** The limits that are really enforced. A limit asked for and not listed here is refused. */
  readonly limits: readonly (keyof Limits)[]

  /** Readies the driver. @throws SandboxError `host_not_ready` with what is missing and how to mend it. */
  open(signal?: AbortSignal): Promise<void>
  /** Starts a sandbox. @returns the timed steps. */
  start(plan: SandboxPlan, signal?: AbortSignal): Promise<Stage[]>
  /** Opens a new channel to the agent; the agent drops an older one. What a `data` event brings is only valid while it is handled. */
  connect(id: string, signal?: AbortSignal): Promise<Duplex>
  /** Ends a sandbox and everything in it; nothing to do for an unknown id. */
  stop(id: string, signal?: AbortSignal): Promise<void>
  /** Every sandbox of this data directory that runs or has left something behind. */
  list(signal?: AbortSignal): Promise<Found[]>
  /** Calls back once for every sandbox that ends while this server watches. @returns the undo. */
  onEnded(listener: (ended: Ended) => void): () => void
  /** Releases the driver's own resources; sandboxes go on running. */
  close(): Promise<void>

  /** What a running sandbox uses now; null when it is not running. */
  usage?(id: string): Promise<Usage | null>
  /** `oomKills` of the usage alone, for a fraction of its cost: every command asks twice. 0 when it is not running. */
  oomKills?(id: string): number
  /** It can start sandboxes with volumes of the storage; absent: it cannot. */
  readonly volumes?: true
  /** Networks for sandboxes; absent: they have none. */
  readonly network?: NetworkHand
  /** Keeping what runs while it does not run; absent: a pause ends the processes. */
  readonly memory?: MemoryHand
}

/**
 * What a driver does for pauses that keep processes. A *dump* is the memory and everything else of a sandbox's
 * processes on disk; its name is an id. Files are not in it: a dump belongs to a root as it was in the same moment.
 */
export interface MemoryHand {
  /** No process of the sandbox runs from here until `thaw`. Idempotent; a frozen sandbox still counts as running. */
  freeze(id: string, signal?: AbortSignal): Promise<void>
  /** Idempotent; nothing to do for one that does not run. */
  thaw(id: string, signal?: AbortSignal): Promise<void>
  /** null: dumps can be made. Otherwise why not, in half a sentence. Known once the driver is open. */
  readonly noDumps: string | null
  /**
   * Writes a frozen sandbox's processes to a new dump, whole or not at all; the sandbox stays frozen. With `end` they
   * are gone afterwards, and `onEnded` does not tell it. Nobody may be connected to the agent, and the sandbox
   * has no volumes: what others write there meanwhile would not fit the memory.
   * @param save the root is to be saved under this name as it is in the same moment, where the storage has saves. A
   *   driver whose dumps need files that they have made in it for so long does it, and answers `saved`; else the caller does.
   * @throws Error that says what of the sandbox cannot be kept; it is then frozen as before.
   */
  dump(
    id: string,
    dump: string,
    end: boolean,
    save?: string | null,
    signal?: AbortSignal,
  ): Promise<{ bytes: number; saved: boolean }>
  /** Idempotent. A dump is started from by `start` with `plan.dump`, any number of times, under any id. */
  removeDump(dump: string, signal?: AbortSignal): Promise<void>
  listDumps(signal?: AbortSignal): Promise<string[]>
}

/**
 * What a driver does for networks. It decides nothing: rules come compiled. Without rules everything is refused, and
 * what is set stays in force when the server dies.
 */
export interface NetworkHand {
  /**
   * Makes the router unless it is there, and tells it what only the host knows.
   * @param permit private ranges (CIDR) that rules may open, because the operator says so
   * @param host the host's own addresses, which stay unreachable
   * @throws SandboxError `host_not_ready`
   */
  open(settings: { permit: string[]; host: string[] }, signal?: AbortSignal): Promise<RouterFacts>
  /** Gives a running sandbox its interface, refusing everything until it has rules; nothing to do when it has one. */
  plug(id: string, limits: PlugLimits, signal?: AbortSignal): Promise<Plugged>
  /** Takes the interface away. A sandbox that ends loses it by itself. */
  unplug(id: string, signal?: AbortSignal): Promise<void>
  /** Replaces rules and pins at once (pins beyond 256 follow); connections that are open are judged anew at their next packet. */
  setRules(id: string, rules: PacketRules, pins: Pin[], signal?: AbortSignal): Promise<void>
  /** Lets addresses be reached for some time; resolves when they can be. */
  pin(id: string, pins: Pin[], signal?: AbortSignal): Promise<void>
  /** The program that holds the socket with this local port, as `<name> (pid <n>)`; null: nobody, or not any more. The name is the guest's word. */
  owner(id: string, protocol: 'tcp' | 'udp', port: number, signal?: AbortSignal): Promise<string | null>
  /** What plugged sandboxes, or this one, have sent and received since they were plugged, in bytes. */
  traffic(id?: string, signal?: AbortSignal): Promise<Map<string, { up: number; down: number } & Plugged>>
  /** Calls back for first packets, as far as their number is bounded. @returns the undo. */
  onPacket(listener: (packet: Packet) => void): () => void
}

export type PlugLimits = Pick<
  NetworkRecord,
  'uploadBytesPerSecond' | 'downloadBytesPerSecond' | 'connections'
>

export interface Found {
  id: string
  running: boolean
  /** It runs, and none of its processes does. */
  frozen: boolean
}

/** Why a sandbox ended, as far as the driver has evidence. `status` is the agent's exit code or signal name. */
export interface Ended {
  id: string
  status: string
}

export interface Usage {
  memoryBytes: number
  cpuUsec: number
  pids: number
  /** Processes of this sandbox that the kernel killed for memory since its start. The evidence for `out-of-memory`. */
  oomKills: number
}
