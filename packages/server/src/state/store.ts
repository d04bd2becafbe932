import type {
  BuildLogRecord,
  BuildRecord,
  CheckpointRecord,
  DestinationRecord,
  EventRecord,
  ExecutionRecord,
  KeyRecord,
  LayerRecord,
  SandboxRecord,
  SandboxState,
  SessionRecord,
  SnapshotRecord,
  SshKeyRecord,
  TemplateRecord,
  TemplateTagRecord,
  UsageRecord,
  VolumeRecord,
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
  readonly checkpoints: CheckpointStore
  readonly snapshots: SnapshotStore
  readonly sessions: SessionStore
  readonly layers: LayerStore
  readonly volumes: VolumeStore
  readonly templates: TemplateStore
  readonly builds: BuildStore
  /** Every save that some record names, those of ended sandboxes not counted: what else is in the storage is garbage. */
  namedSaves(): Promise<Set<string>>
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
  /** Forgets sandboxes that ended before `time`, with their executions, events, checkpoints, destinations and session; usage stays. @returns the executions' ids, whose output may go. */
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
  snapshotId?: string
  /** Its template or snapshot has this id, or its runtime this name. */
  template?: string
  /** At this time or later. */
  createdAfter?: number
  /** Has it mounted. */
  volume?: string
  /** Those that serve the server itself, too; else they are left out. */
  internal?: true
  sessionId?: string
  /** Of those in state `paused`, only these. */
  memory?: ('ram' | 'disk' | 'none')[]
  /** Every pair must be present. */
  metadata?: Record<string, string>
  sort: 'name' | 'created' | 'updated' | 'status' | 'mode' | 'execution_count'
  direction: 'asc' | 'desc'
  limit: number
  offset: number
}

export interface ExecutionStore {
  /** Also counts the execution on its sandbox (`executionCount`, `lastActiveAt`), unless it is the sandbox's own. */
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

export interface CheckpointStore {
  /** @throws SandboxError `checkpoint_exists` when the sandbox has one of this name, `sandbox_not_found` */
  insert(record: CheckpointRecord, options?: Telling): Promise<void>
  /** One of a sandbox, by id or name. */
  find(sandboxId: string, idOrName: string): Promise<CheckpointRecord | null>
  list(query: {
    sandboxId: string
    limit: number
    offset: number
    direction: 'asc' | 'desc'
  }): Promise<{ items: CheckpointRecord[]; total: number }>
  update(id: string, change: Pick<CheckpointRecord, 'sizeBytes' | 'fileCount'>): Promise<void>
  /** @returns the record that was removed, or null. */
  remove(id: string, options?: Telling): Promise<CheckpointRecord | null>
  /** Those of a sandbox that ends. @returns the saves, which may go. */
  removeOf(sandboxId: string): Promise<string[]>
}

export interface SnapshotStore {
  /** Takes the tag from another of the same name, in the same transaction. */
  insert(record: SnapshotRecord, options?: Telling): Promise<void>
  get(id: string): Promise<SnapshotRecord | null>
  /** Every snapshot of this name, or with this tag. */
  matching(query: { name?: string; tag?: string }): Promise<SnapshotRecord[]>
  list(query: SnapshotQuery): Promise<{ items: SnapshotRecord[]; total: number }>
  /** With a tag: takes it from another of the same name. @throws SandboxError `snapshot_not_found` */
  update(
    id: string,
    change: Partial<Pick<SnapshotRecord, 'tag' | 'sizeBytes' | 'fileCount' | 'updatedAt'>>,
  ): Promise<SnapshotRecord>
  remove(id: string): Promise<SnapshotRecord | null>
}

export interface SnapshotQuery {
  sandboxId?: string
  parentId?: string
  name?: string
  tag?: string
  public?: boolean
  contentHash?: string
  sort: 'name' | 'created' | 'size' | 'files'
  direction: 'asc' | 'desc'
  limit: number
  offset: number
}

export interface SessionStore {
  /**
   * The session and its sandbox, in one transaction.
   * @throws SandboxError `name_taken` when one that is not deleted has the name, or another sandbox its sandbox's
   */
  insert(record: SessionRecord, sandbox: SandboxRecord, options?: Telling): Promise<void>
  get(id: string): Promise<SessionRecord | null>
  /** The one that is not deleted with this name. */
  findByName(name: string): Promise<SessionRecord | null>
  findByIdempotencyKey(key: string): Promise<SessionRecord | null>
  /** With what its sandbox is now. */
  list(
    query: SessionQuery,
  ): Promise<{ items: { session: SessionRecord; sandbox: SandboxRecord | null }[]; total: number }>
  /** @throws SandboxError `session_not_found` */
  update(id: string, change: Partial<Pick<SessionRecord, 'deletedAt' | 'updatedAt'>>): Promise<SessionRecord>
}

export interface SessionQuery {
  /** What follows from the session and its sandbox: see `sessionStatus` in core/session-status.ts. */
  status?: 'recorded' | 'active' | 'paused' | 'deleted'
  /** Without a status: deleted ones, too. */
  all?: boolean
  name?: string
  projectId?: string
  orgId?: string
  metadata?: Record<string, string>
  sort: 'name' | 'created' | 'updated'
  direction: 'asc' | 'desc'
  limit: number
  offset: number
}

export interface LayerStore {
  /** @throws SandboxError `conflict` when there is one of this digest. */
  insert(record: LayerRecord): Promise<void>
  /** Also notes that it was used. */
  find(digest: string, usedAt: number): Promise<LayerRecord | null>
  list(): Promise<LayerRecord[]>
  remove(digest: string): Promise<void>
}

export interface VolumeStore {
  /** @throws SandboxError `volume_exists` when one has the name. */
  insert(record: VolumeRecord): Promise<void>
  /** By id or name. */
  find(idOrName: string): Promise<VolumeRecord | null>
  list(query: {
    sort: 'name' | 'created'
    direction: 'asc' | 'desc'
    limit: number
    offset: number
  }): Promise<{ items: VolumeRecord[]; total: number }>
  /** @returns whether there was one. */
  remove(id: string): Promise<boolean>
}

export interface TemplateStore {
  /** The one of this name, or else `record`, which is then stored. */
  findOrInsert(record: TemplateRecord): Promise<TemplateRecord>
  /** By id or name. */
  find(idOrName: string): Promise<TemplateRecord | null>
  list(query: {
    sort: 'name' | 'created'
    direction: 'asc' | 'desc'
    limit: number
    offset: number
  }): Promise<{ items: TemplateRecord[]; total: number }>
  /** @throws SandboxError `template_not_found` */
  update(
    id: string,
    change: Partial<Pick<TemplateRecord, 'resources' | 'updatedAt'>>,
  ): Promise<TemplateRecord>
  /** With its tags, builds and their logs. */
  remove(id: string): Promise<void>
  /** Newest first. */
  tags(templateId: string): Promise<TemplateTagRecord[]>
  /** Takes them from other builds of the template, in one transaction. */
  tag(records: TemplateTagRecord[]): Promise<void>
  untag(templateId: string, tags: string[]): Promise<void>
}

export interface BuildStore {
  insert(record: BuildRecord): Promise<void>
  get(id: string): Promise<BuildRecord | null>
  /**
   * With `ifStatus`, only when it still has that; `tags` are put on it in the same transaction.
   * @throws SandboxError `build_not_found`, `build_state`
   */
  update(
    id: string,
    change: Partial<Omit<BuildRecord, 'id' | 'templateId'>>,
    options?: { ifStatus?: BuildRecord['status']; tags?: TemplateTagRecord[] },
  ): Promise<BuildRecord>
  /** Those that have not ended. */
  open(): Promise<BuildRecord[]>
  /** Those of which sandboxes can be made. */
  ready(): Promise<BuildRecord[]>
  /** Forgets builds that no tag means and that ended, or waited to be started, before `time`. */
  purge(time: number): Promise<void>
  /** Not flushed to the disk. */
  log(records: BuildLogRecord[]): Promise<void>
  readLog(buildId: string, offset: number, limit: number): Promise<BuildLogRecord[]>
}
