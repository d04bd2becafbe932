import type { ServerInfo } from '@caisson/protocol/resources'
import type { Config } from '../config.ts'
import type { SandboxRecord } from '../core/records.ts'
import type { HostFacts } from '../core/spec.ts'
import type { Failpoint } from '../failpoint.ts'
import type { Log } from '../log.ts'
import type { Driver } from '../runtime/driver.ts'
import type { OutputLogs } from '../state/output-log.ts'
import type { Store } from '../state/store.ts'
import type { Images } from '../storage/images/catalogue.ts'
import type { Layers } from '../storage/layers.ts'
import type { Live } from './live.ts'
import type { SandboxNetworks } from './network/index.ts'

/** What every use case works with. `live` is a cache of the store and the driver: a restart rebuilds it by `reconcile`. */
export interface Context {
  readonly config: Config
  readonly log: Log
  readonly store: Store
  readonly outputs: OutputLogs
  readonly layers: Layers
  readonly images: Images
  readonly driver: Driver
  readonly host: HostFacts
  readonly failpoint: (name: Failpoint) => void
  /** null: sandboxes of this driver have no network. */
  readonly networks: SandboxNetworks | null
  /** Sandboxes that run, by id. */
  readonly live: Map<string, Live>
  /** Sandboxes that are paused, by id: their records, as last written. */
  readonly paused: Map<string, SandboxRecord>
  /** Saves that work under way makes or uses, with how many hold them: garbage collection leaves them. */
  readonly heldSaves: Map<string, number>
  /** First host uids in use, those of sandboxes that are being created or deleted included. */
  readonly idBases: Set<number>
  /** Work under way that a second caller joins instead of repeating, by what it does to what. */
  readonly joined: Map<string, Promise<unknown>>
  /** Looks again at which sandbox is due next. */
  readonly reschedule: () => void
  /** Signs links to files. */
  readonly signingKey: Buffer
  /** Where the doors are; told by `getServer`. */
  readonly doors: { url: string | null; ssh: ServerInfo['ssh'] }
  readonly startedAt: number
  readonly version: string
  stopping: boolean
}

/** Runs `work` unless the same is under way; then waits for that one's result. */
export function join<T>(context: Context, key: string, work: () => Promise<T>): Promise<T> {
  const known = context.joined.get(key)
  if (known !== undefined) return known as Promise<T>
  const promise = work().finally(() => context.joined.delete(key))
  context.joined.set(key, promise)
  return promise
}
