import type {
  BuildFrom,
  BuildStep,
  Ending,
  ExecutionEnding,
  PauseDepth,
  Sandbox,
  Scope,
} from '@caisson/protocol/resources'
import type { NetworkRecord } from './network/types.ts'

/** What the server remembers. All times are milliseconds since the epoch. */
export interface SandboxRecord {
  id: string
  name: string | null
  description: string | null
  state: SandboxState
  mode: 'oneshot' | 'interactive'
  /** Canonical reference, `base:latest`. */
  runtime: string
  imageDigest: string | null
  metadata: Record<string, string>
  env: Record<string, string>
  asked: Sandbox['resources']['asked']
  granted: Sandbox['resources']['granted']
  driver: string
  storage: string
  idBase: number
  /** Saves that lie between the image and its own files, topmost first: installed packages. */
  layers: string[]
  /** The save that its own files began as; null: none, they began empty. */
  base: string | null
  snapshotId: string | null
  forkedFrom: string | null
  sessionId: string | null
  templateId: string | null
  dependencies: string[]
  packages: string[]
  /** Of its image or the snapshot that it was made from; null: the driver's. */
  user: string | null
  /** Where commands run that name no directory; null: the home of their user. */
  workdir: string | null
  /** What runs in the background whenever its processes are started anew; null: nothing. */
  start: StartProgram | null
  volumes: VolumeUse[]
  /** It serves the server itself: nobody sees it or may use it. null: it is somebody's. */
  internal: 'build' | 'volume' | null
  /** null: it is not paused, nor on the way there or back. */
  pause: PauseRecord | null
  onTimeout: 'kill' | 'pause'
  pauseDepth: PauseDepth
  pausedTimeoutMs: number | null
  resumeOnRequest: boolean
  /** When it was started or resumed last; null: never. */
  bootedAt: number | null
  /** Paused so long after `bootedAt`, as soon as nothing runs. */
  pauseAfterMs: number | null
  /** A checkpoint is being put back: whatever happens, its own files become this save's before it runs again. */
  restoring: Restoring | null
  /** null: no network. */
  network: NetworkRecord | null
  /** Digest of what the kernel was told of these rules last; null: nothing, or nobody knows. */
  rulesDigest: string | null
  /** Exposed ports, ascending. `since`: when it was exposed; links made before open it no more. */
  ports: { port: number; access: 'public' | 'private'; since: number }[]
  /** All ports that `ports` does not name; null: they are closed. */
  allPorts: { access: 'public' | 'private'; since: number } | null
  /** What programs behind exposed ports see as Host, with `${PORT}`; null: what the request says. */
  portHost: string | null
  /**
   * Bytes sent and received through interfaces that it has no longer, and CPU time of earlier starts; the kernel counts
   * from the present ones on.
   */
  trafficBefore: { up: number; down: number; cpuUsec?: number }
  idleTimeoutMs: number | null
  /** Time to live as it was given last; a resume after its end begins anew with it. */
  ttlMs: number | null
  /** Absolute end of life; null while it is paused, too. */
  expiresAt: number | null
  projectId: string | null
  orgId: string | null
  executionCount: number
  createdAt: number
  updatedAt: number
  lastActiveAt: number
  endedAt: number | null
  ending: Ending | null
  idempotencyKey: string | null
  /** Digest of the request that the idempotency key was used with. */
  requestDigest: string | null
  /** Rises with every change; a writer names the version it decided on. */
  version: number
}

export interface StartProgram {
  /** For a shell, as the sandbox's user in its working directory. */
  command: string
  /** For a shell, tried until it ends with 0: then the sandbox counts as started. null: as soon as `command` runs. */
  ready: string | null
  /** Where it listens; each sandbox exposes them to those with a token. Absent: none. */
  ports?: number[]
}

/** A volume that a sandbox has mounted. */
export interface VolumeUse {
  volume: string
  /** Names of volumes never change. */
  name: string
  path: string
  readOnly: boolean
}

/** Why and how a sandbox does not run, though it lives. */
export interface PauseRecord {
  depth: PauseDepth
  /** `ram`: frozen; `disk`: its processes are in a dump named after it; `none`: its processes have ended. */
  memory: 'ram' | 'disk' | 'none'
  since: number
  /** Of its time to live; null: it has no end. */
  ttlLeftMs: number | null
}

export interface Restoring {
  checkpointId: string
  save: string
  layers: string[]
  /** It ran before, and runs again afterwards. */
  resume: boolean
}

/**
 * `ready` shows as `idle` or `running`, by whether executions run; `paused` as `suspended` when none of it is in RAM.
 * A session's sandbox begins `paused`, with nothing on disk.
 */
export type SandboxState =
  | 'creating'
  | 'ready'
  | 'pausing'
  | 'paused'
  | 'resuming'
  | 'stopping'
  | 'terminated'
  | 'failed'

/** A save point of one sandbox; gone with it. */
export interface CheckpointRecord {
  id: string
  sandboxId: string
  name: string | null
  save: string
  /** Of the sandbox at that time. */
  layers: string[]
  sizeBytes: number | null
  fileCount: number | null
  createdAt: number
}

export interface SnapshotRecord {
  id: string
  name: string
  tag: string | null
  description: string | null
  public: boolean
  /** A dump of the same moment belongs to its save. */
  memory: boolean
  metadata: Record<string, string>
  /** Canonical reference of the runtime, and the image's digest and layers that the save lies on. */
  runtime: string
  imageDigest: string | null
  layers: string[]
  save: string
  env: Record<string, string>
  user: string | null
  workdir: string | null
  start: StartProgram | null
  dependencies: string[]
  packages: string[]
  sandboxId: string | null
  parentId: string | null
  contentHash: string | null
  sizeBytes: number | null
  fileCount: number | null
  createdAt: number
  updatedAt: number
}

export interface SessionRecord {
  id: string
  name: string | null
  sandboxId: string
  pauseAfterMs: number | null
  metadata: Record<string, string>
  projectId: string | null
  orgId: string | null
  createdAt: number
  updatedAt: number
  deletedAt: number | null
  idempotencyKey: string | null
  requestDigest: string | null
}

export interface VolumeRecord {
  id: string
  name: string
  /** null: no limit of its own. */
  limitBytes: number | null
  metadata: Record<string, string>
  createdAt: number
  updatedAt: number
}

export interface TemplateRecord {
  id: string
  name: string
  /** Of its sandboxes that ask for none. */
  resources: { memory?: string; cpu?: string; disk?: string }
  createdAt: number
  updatedAt: number
}

/** Which build of a template a tag means. */
export interface TemplateTagRecord {
  templateId: string
  tag: string
  buildId: string
  createdAt: number
}

export interface BuildRecord {
  id: string
  templateId: string
  status: 'waiting' | 'building' | 'ready' | 'failed'
  /** Put on it when it is ready. */
  tags: string[]
  /** null: it was not started. */
  from: BuildFrom | null
  steps: BuildStep[]
  start: StartProgram | null
  reason: { message: string; step: number | null } | null
  /** What its sandboxes are made of; null: it is not ready. */
  made: BuiltRecord | null
  createdAt: number
  startedAt: number | null
  endedAt: number | null
}

export type BuiltRecord = Pick<
  SnapshotRecord,
  | 'runtime'
  | 'imageDigest'
  | 'layers'
  | 'save'
  | 'memory'
  | 'env'
  | 'user'
  | 'workdir'
  | 'dependencies'
  | 'packages'
>

export interface BuildLogRecord {
  buildId: string
  /** From 0, without gaps. */
  entry: number
  at: number
  level: 'debug' | 'info' | 'warn' | 'error'
  step: number | null
  message: string
}

/** Packages installed on an image once, for all sandboxes that ask for them. */
export interface LayerRecord {
  /** Of the image, what lies on it, and the packages with their settings. */
  digest: string
  save: string
  /** In words, for people. */
  what: string
  createdAt: number
  usedAt: number
}

export interface ExecutionRecord {
  id: string
  sandboxId: string
  kind: 'command' | 'job'
  tag: string | null
  state: 'pending' | 'running' | 'ended'
  /** Of the leader, in the sandbox's own numbers; null until it runs. */
  pid: number | null
  argv: string[]
  cwd: string | null
  user: string | null
  /** The environment of this execution alone; the sandbox's is merged beneath it at start. */
  env: Record<string, string>
  tty: { cols: number; rows: number } | null
  stdin: boolean
  timeoutMs: number | null
  deadlineAt: number | null
  /** Bytes of output kept at most; later bytes are read and dropped. */
  outputLimit: number
  /** Which end of the output is kept when it is more. */
  outputKeep: 'head' | 'tail'
  outputBytes: number
  /** Offset of the first byte that is kept. */
  outputStart: number
  outputTruncated: boolean
  /** Set before the signal is sent, so that the ending has evidence even if the server dies in between. */
  killReason: 'timeout' | 'cancelled' | 'stopped' | 'idle' | null
  ending: ExecutionEnding | null
  exitCode: number | null
  signal: string | null
  /** One sentence of evidence for the ending. */
  message: string | null
  oomKills: number
  /** The sandbox was resumed for it. */
  autoResumed: boolean
  cpuUsec: number | null
  maxRssBytes: number | null
  createdAt: number
  startedAt: number | null
  endedAt: number | null
  idempotencyKey: string | null
  requestDigest: string | null
}

/** What happened to a sandbox. Written in the same transaction as what it tells. */
export interface EventRecord {
  id: string
  sandboxId: string
  /** Such as `create`, `lifecycle:started`, `destroy`. */
  type: string
  payload: Record<string, unknown>
  createdAt: number
}

/** What a sandbox used in one hour. */
export interface UsageRecord {
  /** Start of the hour, milliseconds since the epoch. */
  hour: number
  sandboxId: string
  projectId: string | null
  orgId: string | null
  executions: number
  cpuUsec: number
  memoryByteSec: number
  egressBytes: number
}

/** What a sandbox has connected to, summed up by destination. */
export interface DestinationRecord {
  sandboxId: string
  /** '' when it is not known. */
  name: string
  address: string
  /** 0 where the protocol has none. */
  port: number
  protocol: 'tcp' | 'udp' | 'icmp' | 'other'
  connections: number
  uploadedBytes: number | null
  downloadedBytes: number | null
  firstAt: number
  lastAt: number
}

export interface SshKeyRecord {
  id: string
  name: string
  /** Such as `ssh-ed25519`. */
  type: string
  /** `SHA256:` and unpadded base64. */
  fingerprint: string
  /** Type and base64, without the comment. */
  publicKey: string
  createdAt: number
}

export interface KeyRecord {
  id: string
  name: string
  /** SHA-256 of the key, hex. Keys are random, so a slow hash adds nothing. */
  hash: string
  scopes: Scope[]
  createdAt: number
  expiresAt: number | null
}
