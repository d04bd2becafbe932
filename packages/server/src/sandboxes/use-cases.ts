import type { Duplex } from 'node:stream'
import type { operations } from '@caisson/protocol/operations'
import type {
  ApiKey,
  Build,
  BuildLogEntry,
  BuildProgress,
  Checkpoint,
  Collected,
  Destination,
  DiskUsage,
  Event,
  Execution,
  ExposedPort,
  FileChange,
  Job,
  Lineage,
  NetworkExplanation,
  NetworkLogEntry,
  NetworkState,
  Runtime,
  Sandbox,
  Scope,
  ServerInfo,
  Session,
  Snapshot,
  SshKey,
  Stats,
  Template,
  Usage,
  UsageSample,
  Volume,
} from '@caisson/protocol/resources'
import type { z } from 'zod'
import type { Stage } from '../core/plan.ts'
import type { Attributed, FileStat, Owner } from '../guest/guest.ts'

type Body<N extends keyof typeof operations> = (typeof operations)[N] extends {
  body: infer B extends z.ZodType
}
  ? z.output<B>
  : never
type Query<N extends keyof typeof operations> = (typeof operations)[N] extends {
  query: infer Q extends z.ZodType
}
  ? z.output<Q>
  : never

/**
 * What the server can do, the only door to change anything: the API dialects, the proxy and SSH translate to these
 * calls and back. Inputs have been parsed by the operation's schema. `id` is an id or a name.
 */
export interface UseCases {
  createSandbox(
    input: Body<'createSandbox'>,
    options?: Once,
    signal?: AbortSignal,
  ): Promise<{ sandbox: Sandbox; stages: Stage[] }>
  getSandbox(id: string): Promise<Sandbox>
  listSandboxes(query: Query<'listSandboxes'>): Promise<{ sandboxes: Sandbox[]; total: number }>
  updateSandbox(id: string, change: Body<'updateSandbox'>): Promise<Sandbox>
  deleteSandbox(id: string): Promise<Sandbox>

  pauseSandbox(id: string, input: Body<'pauseSandbox'>): Promise<Sandbox>
  resumeSandbox(id: string, input: Body<'resumeSandbox'>): Promise<Sandbox>
  forkSandbox(
    id: string,
    input: Body<'forkSandbox'>,
    options?: Once,
    signal?: AbortSignal,
  ): Promise<{ sandboxes: Sandbox[]; stages: Stage[] }>
  createCheckpoint(id: string, input: Body<'createCheckpoint'>): Promise<Checkpoint>
  listCheckpoints(
    id: string,
    query: Query<'listCheckpoints'>,
  ): Promise<{ checkpoints: Checkpoint[]; total: number }>
  restoreCheckpoint(id: string, checkpoint: string): Promise<Sandbox>
  deleteCheckpoint(id: string, checkpoint: string): Promise<void>
  createSnapshot(id: string, input: Body<'createSnapshot'>): Promise<Snapshot>
  listSnapshots(query: Query<'listSnapshots'>): Promise<{ snapshots: Snapshot[]; total: number }>
  getSnapshot(reference: string): Promise<Snapshot>
  getLineage(reference: string): Promise<Lineage>
  tagSnapshot(reference: string, tag: string | null): Promise<Snapshot>
  deleteSnapshot(reference: string): Promise<void>
  exportSnapshot(reference: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>
  /** For whoever asks. @throws SandboxError `snapshot_not_found` for one that is not public, too */
  exportPublicSnapshot(reference: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>
  importSnapshot(
    query: Query<'importSnapshot'>,
    data: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<Snapshot>
  createSession(input: Body<'createSession'>, options?: Once): Promise<Session>
  listSessions(query: Query<'listSessions'>): Promise<{ sessions: Session[]; total: number }>
  getSession(idOrName: string): Promise<Session>
  deleteSession(idOrName: string): Promise<Session>

  /** Creates, starts, and deletes the sandbox when the execution has ended or `signal` aborts. */
  run(input: Body<'run'>, signal: AbortSignal): Promise<{ output: Output; stages: Stage[] }>
  startExecution(id: string, input: Body<'startExecution'>, options?: Once): Promise<Execution>
  listExecutions(
    id: string,
    query: Query<'listExecutions'>,
  ): Promise<{ executions: Execution[]; total: number }>
  getExecution(execution: string): Promise<Execution>
  /**
   * Output from an offset; with `follow`, until the execution has ended. Aborting stops only the reading. `paced`: the
   * program waits when it is some megabytes ahead, so that who reads on misses nothing, however little is kept.
   */
  readOutput(
    execution: string,
    from: { offset: number } | { tail: number },
    follow: boolean | 'paced',
    signal?: AbortSignal,
  ): Promise<Output>
  /** Output as text. */
  readLogs(
    execution: string,
    query: Query<'readLogs'>,
    signal?: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>>
  createJob(id: string, input: Body<'createJob'>, options?: Once): Promise<Job>
  listJobs(id: string, query: Query<'listJobs'>): Promise<{ jobs: Job[]; total: number }>
  getJob(id: string, job: string): Promise<Job>
  stopJob(id: string, job: string, force: boolean): Promise<Job>
  killExecution(execution: string, input: Body<'killExecution'>): Promise<Execution>
  writeStdin(
    execution: string,
    data: AsyncIterable<Uint8Array> | Uint8Array[],
    close: boolean,
    signal?: AbortSignal,
  ): Promise<void>
  resizeTerminal(execution: string, cols: number, rows: number): Promise<void>

  getEnvironment(id: string): Promise<Record<string, string>>
  updateEnvironment(id: string, change: Body<'updateEnvironment'>['env']): Promise<Record<string, string>>
  listEvents(id: string, query: Query<'listEvents'>): Promise<{ events: Event[]; total: number }>
  getUsage(id: string): Promise<Usage>
  listUsage(id: string, query: Query<'listUsage'>): Promise<UsageSample[]>
  getStats(query: Query<'getStats'>): Promise<Stats>
  /** Connects to a TCP port of the sandbox's loopback; counts as activity while it is open. */
  dial(id: string, port: number, signal?: AbortSignal): Promise<Duplex>

  getNetwork(id: string): Promise<NetworkState>
  setNetwork(id: string, network: Body<'setNetwork'>['network']): Promise<NetworkState>
  readNetworkLog(
    id: string,
    query: Query<'readNetworkLog'>,
  ): Promise<{ entries: NetworkLogEntry[]; total: number }>
  listDestinations(
    id: string,
    query: Query<'listDestinations'>,
  ): Promise<{ destinations: Destination[]; total: number }>
  explainNetwork(id: string, destination: string, signal?: AbortSignal): Promise<NetworkExplanation>

  listPorts(id: string): Promise<ExposedPort[]>
  exposePort(id: string, port: number, input: Body<'exposePort'>): Promise<ExposedPort>
  unexposePort(id: string, port: number): Promise<void>
  linkPort(
    id: string,
    port: number,
    input: Body<'linkPort'>,
  ): Promise<{ url: string | null; token: string; expiresAt: string }>
  /**
   * An exposed port, for the proxy, which decides by `access` and `admittedUntil` whether a request may pass.
   * @throws SandboxError `sandbox_not_found`, `sandbox_ended`, `port_not_exposed`
   */
  reachPort(id: string, port: number): Promise<ReachedPort>

  readFile(
    id: string,
    query: Query<'readFile'>,
    signal?: AbortSignal,
  ): Promise<{ stat: FileStat; data: AsyncIterable<Uint8Array> }>
  /** `owner`, only for root: whose the file, and what directories are made for it, will be. */
  writeFile(
    id: string,
    query: Query<'writeFile'> & { owner?: Owner; attributes?: Record<string, string> },
    data: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<{ stat: FileStat; created: string[] }>
  writeFiles(
    id: string,
    input: Body<'writeFiles'>,
    signal?: AbortSignal,
  ): Promise<{ files: number; bytes: number; created: string[] }>
  putUpload(
    id: string,
    upload: string,
    query: Query<'putUpload'>,
    data: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<{ stat: FileStat | null; offset: number; created: string[] }>
  getUpload(id: string, upload: string, query: Query<'getUpload'>): Promise<number>
  deleteUpload(id: string, upload: string, query: Query<'deleteUpload'>): Promise<void>
  checksumFile(
    id: string,
    query: Query<'checksumFile'>,
    signal?: AbortSignal,
  ): Promise<{ algorithm: string; digest: string; size: number }>
  /** `skipped` is told after `data`: entries that could not be read, or that no archive can hold. */
  downloadArchive(
    id: string,
    query: Query<'downloadArchive'>,
    signal?: AbortSignal,
  ): Promise<{ data: AsyncIterable<Uint8Array>; skipped(): number }>
  uploadArchive(
    id: string,
    query: Query<'uploadArchive'>,
    data: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<{ files: number; directories: number; links: number; bytes: number }>
  watchFiles(id: string, query: Query<'watchFiles'>, signal?: AbortSignal): Promise<AsyncIterable<FileChange>>
  /** @returns the token of a link `/v1/signed/{token}`. */
  signFile(id: string, input: Body<'signFile'>): Promise<{ token: string; expiresAt: number }>
  readSigned(
    token: string,
    range: { offset: number; length?: number },
    signal?: AbortSignal,
  ): Promise<{ path: string; stat: FileStat; data: AsyncIterable<Uint8Array> }>
  writeSigned(token: string, data: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<FileStat>
  statFile(id: string, query: Query<'statFile'>): Promise<FileStat & Attributed>
  listFiles(
    id: string,
    query: Query<'listFiles'>,
    signal?: AbortSignal,
  ): Promise<(FileStat & Attributed & { name: string })[]>
  makeDirectory(id: string, input: Body<'makeDirectory'> & { owner?: Owner }): Promise<string[]>
  renameFile(id: string, input: Body<'renameFile'>): Promise<void>
  removeFile(id: string, query: Query<'removeFile'>, signal?: AbortSignal): Promise<void>
  changeMode(id: string, input: Body<'changeMode'>): Promise<void>
  changeOwner(id: string, input: Body<'changeOwner'>): Promise<void>

  setAttributes(id: string, input: Body<'setAttributes'>): Promise<void>
  /** A user of the sandbox, of its own table; without a name the one that it acts as. null: there is none of that name. */
  findAccount(id: string, user?: string): Promise<Account | null>

  createVolume(input: Body<'createVolume'>): Promise<Volume>
  listVolumes(query: Query<'listVolumes'>): Promise<{ volumes: Volume[]; total: number }>
  getVolume(volume: string): Promise<Volume>
  deleteVolume(volume: string): Promise<void>
  listVolumeFiles(
    volume: string,
    query: Query<'listVolumeFiles'>,
    signal?: AbortSignal,
  ): Promise<VolumeEntry[]>
  statVolumeFile(volume: string, path: string): Promise<VolumeEntry>
  readVolumeFile(
    volume: string,
    query: Query<'readVolumeFile'>,
    signal?: AbortSignal,
  ): Promise<{ stat: FileStat; data: AsyncIterable<Uint8Array> }>
  writeVolumeFile(
    volume: string,
    query: Query<'writeVolumeFile'>,
    data: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<VolumeEntry>
  makeVolumeDirectory(volume: string, input: Body<'makeVolumeDirectory'>): Promise<VolumeEntry>
  changeVolumeFile(volume: string, input: Body<'changeVolumeFile'>): Promise<VolumeEntry>
  removeVolumeFile(volume: string, query: Query<'removeVolumeFile'>, signal?: AbortSignal): Promise<void>
  /** How many regular files there are, and their bytes: counted now, which takes as long as there are files. */
  measureVolume(volume: string, signal?: AbortSignal): Promise<{ files: number; bytes: number }>

  createTemplate(input: Body<'createTemplate'>): Promise<{ template: Template; build: Build }>
  /** Resolves when it is recorded; the build goes on by itself. */
  startBuild(build: string, input: Body<'startBuild'>): Promise<Build>
  getBuild(build: string): Promise<Build>
  readBuildLog(build: string, query: Query<'readBuildLog'>): Promise<BuildLogEntry[]>
  cancelBuild(build: string): Promise<Build>
  hasBuildFiles(hash: string): Promise<boolean>
  putBuildFiles(hash: string, data: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void>
  listTemplates(query: Query<'listTemplates'>): Promise<{ templates: Template[]; total: number }>
  getTemplate(template: string): Promise<Template>
  deleteTemplate(template: string): Promise<void>
  tagTemplate(template: string, input: Body<'tagTemplate'>): Promise<Template>
  untagTemplate(template: string, tags: string[]): Promise<Template>

  /**
   * Tokens for clients that reach a sandbox without an API key; the same for as long as it lives. `access` lets in to the
   * sandbox itself, `traffic` to its exposed ports.
   */
  sandboxTokens(id: string): { access: string; traffic: string }
  /** Which sandbox an access token is for, whether that lives or not; null: none, it is not genuine. In constant time. */
  admittedBy(access: string): string | null
  /** The living sandbox whose access token passes a test: for signatures that name no sandbox. */
  whoseToken(passes: (access: string) => boolean): string | null
  /** The same for volumes: one token lets in to the content of one volume. */
  volumeToken(volume: string): string
  admittedToVolume(token: string, volume: string): boolean
  /** A capability to put files of this hash once, within an hour. */
  buildFilesToken(hash: string): string
  /** The hash that such a token is for; null: none. It counts as used then. */
  buildFilesOf(token: string): string | null

  listRuntimes(query: Query<'listRuntimes'>): Promise<{ runtimes: Runtime[]; total: number }>
  getRuntime(reference: string): Promise<Runtime>
  /** Steps as they begin; the last has the runtime. Fails before the first step for what can be refused at once. */
  buildRuntime(reference: string, force: boolean, signal?: AbortSignal): Promise<AsyncIterable<BuildProgress>>
  /** `archive`: an OCI or docker archive, used when the query names no reference in a registry. */
  importRuntime(
    query: Query<'importRuntime'>,
    archive: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<AsyncIterable<BuildProgress>>
  deleteRuntime(reference: string): Promise<void>
  getDiskUsage(): Promise<DiskUsage>
  collectGarbage(input: Body<'collectGarbage'>): Promise<Collected>
  getServer(): Promise<ServerInfo>
  createKey(input: Body<'createKey'>): Promise<{ key: ApiKey; secret: string }>
  listKeys(): Promise<ApiKey[]>
  deleteKey(key: string): Promise<void>
  addSshKey(input: Body<'addSshKey'>): Promise<SshKey>
  listSshKeys(): Promise<SshKey[]>
  deleteSshKey(key: string): Promise<void>
  /** Whether this key was added. @param fingerprint `SHA256:…` */
  authenticateSsh(fingerprint: string): Promise<boolean>
  /** The scopes of a presented key; null when it is unknown or expired. */
  authenticate(secret: string): Promise<{ keyId: string; scopes: Scope[] } | null>

  /** Numbers for `/metrics`. */
  gauges(): { sandboxes: Record<string, number>; executionsRunning: number }
}

export interface Account extends Owner {
  name: string
  /** An absolute path, which need not exist. */
  home: string
}

/** `path` from the volume's own root. */
export type VolumeEntry = FileStat & { name: string; path: string }

export interface ReachedPort {
  readonly sandbox: string
  readonly access: 'public' | 'private'
  /** The Host that its program shall see; null: the one of the request. */
  readonly host: string | null
  /**
   * When this token ceases to open the port, in milliseconds since the epoch, infinite for tokens of the sandbox itself;
   * null: it does not open it. In constant time.
   */
  admittedUntil(token: string): number | null
  /**
   * For those who were let in: a sandbox that is paused is resumed, if it is one that requests resume.
   * @throws SandboxError `invalid_transition` when it is none, `resume_failed`, `agent_lost`
   */
  awake(): Promise<OpenPort>
}

/** An exposed port of a sandbox that runs. */
export interface OpenPort {
  readonly sandbox: string
  /** Counts as activity until the returned function is called. */
  hold(): () => void
  /** A new connection to the program, which itself does not count as activity. @throws SandboxError `port_closed`, `agent_lost` */
  connect(signal?: AbortSignal): Promise<Duplex>
  /** Aborts when the port is exposed no longer, or to fewer: connections are cut. Those to a sandbox that ends break by themselves. */
  readonly closed: AbortSignal
}

/** An idempotency key: the same key with the same request returns the first result. */
export interface Once {
  idempotencyKey?: string
}

/** Output as it is read: first the execution as it was at the start, then chunks, then the execution as it ended. */
export interface Output {
  execution: Execution
  /** Offset of the first chunk. */
  offset: number
  chunks: AsyncIterable<OutputChunk>
  /** After the chunks: the ended execution, or, without `follow`, the execution as it is now. */
  result(): Promise<Execution>
}

/** `data` is only valid until the next chunk is asked for. An offset beyond the last chunk's end is a gap: what was there is not kept. */
export interface OutputChunk {
  offset: number
  /** When the bytes came, milliseconds since the epoch, to about 10 ms. */
  time: number
  stream: 'stdout' | 'stderr'
  data: Uint8Array
}
