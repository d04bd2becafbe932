import type {
  DestinationRecord,
  EventRecord,
  ExecutionRecord,
  KeyRecord,
  SandboxRecord,
  SandboxState,
  SshKeyRecord,
  UsageRecord,
} from '../core/records.ts'

/**
 * The store is what we REMEMBER. A write that has resolved survives the death of the server; one made with
 * `durability: 'power'` (the default for sandboxes and keys) survives the loss of power too. Executions use
 * `'process'`: their processes end with the host's power anyway, and an fsync would cost more than the command.
 */
export interface Store {
  readonly sandboxes: SandboxStore
  readonly executions: ExecutionStore
  readonly events: EventStore
  readonly usage: UsageStore
  readonly destinations: DestinationStore
  readonly keys: KeyStore
  readonly sshKeys: SshKeyStore
  close(): Promise<void>
}

export type Durability = 'process' | 'power'

/** Events that become true with a write, and are stored by the same transaction. */
export interface Telling {
  events?: EventRecord[]
}

/** What may change of a sandbox; its number of executions is the executions' to count. */
export type SandboxChange = Partial<Omit<SandboxRecord, 'id' | 'version' | 'executionCount' | 'createdAt'>>

export interface SandboxStore {
  /** @throws SandboxError `name_taken` when a sandbox that has not ended has the name. */
  insert(record: SandboxRecord, options?: Telling & { durability?: Durability }): Promise<void>
  get(id: string): Promise<SandboxRecord | null>
  /** The sandbox that has not ended with this name, else null. */
  findByName(name: string): Promise<SandboxRecord | null>
  findByIdempotencyKey(key: string): Promise<SandboxRecord | null>
  list(query: SandboxQuery): Promise<{ items: SandboxRecord[]; total: number }>
  /**
   * Changes fields, raises `version`, and returns the new record; with `ifVersion`, only when nobody else changed it since.
   * @throws SandboxError `conflict`, `sandbox_not_found`
   */
  update(
    id: string,
    change: SandboxChange,
    options?: Telling & { ifVersion?: number; durability?: Durability },
  ): Promise<SandboxRecord>
  /** Every sandbox in these states, for reconcile. */
  inStates(states: SandboxState[]): Promise<SandboxRecord[]>
  /** Forgets sandboxes that ended before `time`, with their executions, events and destinations; usage stays. @returns the executions' ids, whose output may go. */
  purge(time: number): Promise<{ sandboxes: string[]; executions: string[] }>
}

export interface SandboxQuery {
  states?: SandboxState[]
  /** Exactly these; narrows `ready` to sandboxes with (`true`) or without (`false`) running executions. */
  busy?: { ids: string[]; value: boolean }
  name?: string
  mode?: 'oneshot' | 'interactive'
  projectId?: string
  orgId?: string
  /** Every pair must be present. */
  metadata?: Record<string, string>
  sort: 'name' | 'created' | 'updated' | 'status' | 'mode' | 'execution_count'
  direction: 'asc' | 'desc'
  limit: number
  offset: number
}

export interface ExecutionStore {
  /** Also counts the execution on its sandbox (`executionCount`, `lastActiveAt`). */
  insert(record: ExecutionRecord, options?: Telling): Promise<void>
  get(id: string): Promise<ExecutionRecord | null>
  findByIdempotencyKey(sandboxId: string, key: string): Promise<ExecutionRecord | null>
  list(query: {
    sandboxId: string
    limit: number
    offset: number
    direction: 'asc' | 'desc'
    state?: ExecutionRecord['state']
    kind?: ExecutionRecord['kind']
    tag?: string
    /** Created at or after. */
    since?: number
  }): Promise<{ items: ExecutionRecord[]; total: number }>
  update(id: string, change: Partial<ExecutionRecord>, options?: Telling): Promise<void>
  /** Forgets an execution that never started. */
  remove(id: string): Promise<void>
  /** Executions of a sandbox that have not ended. */
  open(sandboxId: string): Promise<ExecutionRecord[]>
}

export interface KeyStore {
  insert(record: KeyRecord): Promise<void>
  findByHash(hash: string): Promise<KeyRecord | null>
  list(): Promise<KeyRecord[]>
  /** @returns whether there was one. */
  remove(id: string): Promise<boolean>
}

export interface EventStore {
  /** In the order in which they happened, or the reverse. */
  list(query: {
    sandboxId: string
    limit: number
    offset: number
    direction: 'asc' | 'desc'
    /** One type, or any of several. */
    type?: string | readonly string[]
  }): Promise<{ items: EventRecord[]; total: number }>
  /** Stores events that tell of nothing else that is stored. */
  add(records: EventRecord[]): Promise<void>
}

export interface DestinationStore {
  /** Adds connections and bytes to what is known of the same sandbox, name, address, port and protocol. At most `limit` a sandbox are kept, the most recent. */
  add(records: DestinationRecord[], limit: number): Promise<void>
  /** Most recent first. */
  list(query: {
    sandboxId: string
    limit: number
    offset: number
  }): Promise<{ items: DestinationRecord[]; total: number }>
}

export type UsageSums = Pick<UsageRecord, 'executions' | 'cpuUsec' | 'memoryByteSec' | 'egressBytes'>

export interface UsageStore {
  /** Adds to what is known of the same sandbox and hour. */
  add(records: UsageRecord[]): Promise<void>
  /** Sums of the hours from `start` up to, not including, `end`. */
  sum(query: { start: number; end: number; projectId?: string; orgId?: string }): Promise<UsageSums>
  /** All that is known of one sandbox. */
  ofSandbox(sandboxId: string): Promise<UsageSums>
  /** Forgets hours before `time`. */
  purge(time: number): Promise<void>
}

export interface SshKeyStore {
  /** @throws SandboxError `conflict` when the fingerprint is known. */
  insert(record: SshKeyRecord): Promise<void>
  findByFingerprint(fingerprint: string): Promise<SshKeyRecord | null>
  list(): Promise<SshKeyRecord[]>
  /** By id or fingerprint. @returns whether there was one. */
  remove(idOrFingerprint: string): Promise<boolean>
}
