import type { Ending, ExecutionEnding, Sandbox, Scope } from '@caisson/protocol/resources'
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
  /** null: no network. */
  network: NetworkRecord | null
  /** Digest of what the kernel was told of these rules last; null: nothing, or nobody knows. */
  rulesDigest: string | null
  /** Exposed ports, ascending. `since`: when it was exposed; links made before open it no more. */
  ports: { port: number; access: 'public' | 'private'; since: number }[]
  /** Bytes sent and received through interfaces that it has no longer; the kernel counts those of the present one. */
  trafficBefore: { up: number; down: number }
  idleTimeoutMs: number | null
  /** Absolute end of life. */
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

/** `ready` shows as `idle` or `running`, by whether executions run. `paused` and `suspended` come with storage that can. */
export type SandboxState = 'creating' | 'ready' | 'stopping' | 'terminated' | 'failed'

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
