import type {
  Checkpoint,
  Event,
  Execution,
  ExposedPort,
  Job,
  JobStatus,
  PauseState,
  Sandbox,
  Session,
  Snapshot,
  Status,
} from '@caisson/protocol/resources'
import { WORKSPACE } from '@caisson/protocol/resources'
import { showNetwork } from './network/rules.ts'
import type {
  CheckpointRecord,
  EventRecord,
  ExecutionRecord,
  SandboxRecord,
  SessionRecord,
  SnapshotRecord,
} from './records.ts'
import { sessionStatus } from './session-status.ts'

/** What a record does not tell about a sandbox: how it is now. */
export interface Present {
  /** Something runs or is asked in it. */
  busy: boolean
  /** Its agent answers. */
  healthy: boolean
  /** What stands between it and the host, for people. */
  isolation: string
  /** Its exposed ports, and where they are reached. */
  ports: ExposedPort[]
}

/** A sandbox as the API shows it. The environment stays inside: it may hold secrets. */
export function toSandbox(record: SandboxRecord, present: Present): Sandbox {
  return {
    id: record.id,
    name: record.name,
    description: record.description,
    status: statusOf(record, present.busy),
    health: present.healthy ? 'ok' : 'unresponsive',
    mode: record.mode,
    runtime: record.runtime,
    metadata: record.metadata,
    resources: { asked: record.asked, granted: record.granted },
    isolation: { driver: record.driver, storage: record.storage, description: present.isolation },
    network: showNetwork(record.network),
    ports: present.ports,
    allPorts: record.allPorts?.access ?? null,
    portHost: record.portHost,
    volumes: record.volumes.map(({ volume, ...use }) => ({ volumeId: volume, ...use })),
    idleTimeoutMs: record.idleTimeoutMs,
    expiresAt: orNull(record.expiresAt),
    onTimeout: record.onTimeout,
    pauseDepth: record.pauseDepth,
    pausedTimeoutMs: record.pausedTimeoutMs,
    resumeOnRequest: record.resumeOnRequest,
    pause: toPauseState(record),
    snapshotId: record.snapshotId,
    forkedFrom: record.forkedFrom,
    templateId: record.templateId,
    sessionId: record.sessionId,
    workdir: record.workdir,
    startCommand: record.start?.command ?? null,
    dependencies: record.dependencies,
    packages: record.packages,
    projectId: record.projectId,
    orgId: record.orgId,
    executionCount: record.executionCount,
    createdAt: iso(record.createdAt),
    updatedAt: iso(record.updatedAt),
    lastActiveAt: iso(record.lastActiveAt),
    endedAt: orNull(record.endedAt),
    ending: record.ending,
  }
}

/** `ready` and `paused` have two faces each; on the way to a pause and back it is told as paused. */
function statusOf({ state, pause }: SandboxRecord, busy: boolean): Status {
  if (state === 'ready') return busy ? 'running' : 'idle'
  if (state === 'pausing' || state === 'resuming') return 'paused'
  if (state === 'paused') return pause?.memory === 'ram' ? 'paused' : 'suspended'
  return state
}

function toPauseState({ pause, pausedTimeoutMs }: SandboxRecord): PauseState | null {
  if (pause === null) return null
  const { depth, memory, since, ttlLeftMs } = pause
  const deletedAt = pausedTimeoutMs === null ? null : since + pausedTimeoutMs
  return { depth, memory, since: iso(since), ttlLeftMs, deletedAt: orNull(deletedAt) }
}

/** An execution as the API shows it. */
export function toExecution(record: ExecutionRecord): Execution {
  const { startedAt, endedAt } = record
  return {
    id: record.id,
    sandboxId: record.sandboxId,
    kind: record.kind,
    tag: record.tag,
    state: record.state,
    pid: record.pid,
    argv: record.argv,
    cwd: record.cwd,
    user: record.user,
    tty: record.tty !== null,
    stdin: record.stdin || record.tty !== null,
    terminal: record.tty,
    ending: record.ending,
    exitCode: record.exitCode,
    signal: record.signal,
    message: record.message,
    oomKills: record.oomKills,
    autoResumed: record.autoResumed,
    outputBytes: record.outputBytes,
    outputStart: record.outputStart,
    outputTruncated: record.outputTruncated,
    timeoutMs: record.timeoutMs,
    // The clock may be set back between the two.
    durationMs: startedAt === null || endedAt === null ? null : Math.max(0, endedAt - startedAt),
    cpuUsec: record.cpuUsec,
    maxRssBytes: record.maxRssBytes,
    createdAt: iso(record.createdAt),
    startedAt: orNull(startedAt),
    endedAt: orNull(endedAt),
  }
}

/** A job's status follows from how its execution ended. */
export function jobStatus({
  state,
  ending,
  exitCode,
  killReason,
}: Pick<ExecutionRecord, 'state' | 'ending' | 'exitCode' | 'killReason'>): JobStatus {
  if (state !== 'ended') return state
  // A program that was stopped and ended in good order has an exit code, and was stopped all the same.
  if (ending === 'cancelled' || killReason === 'stopped') return 'cancelled'
  return exitCode === 0 ? 'completed' : 'failed'
}

/** An execution of kind `job` as the API shows it. */
export function toJob(execution: Execution, record: Pick<ExecutionRecord, 'killReason'>): Job {
  return { ...execution, status: jobStatus({ ...execution, ...record }) }
}

/** An event as the API shows it. */
export function toEvent(record: EventRecord): Event {
  return { ...record, createdAt: iso(record.createdAt) }
}

/** A checkpoint as the API shows it. */
export function toCheckpoint(record: CheckpointRecord): Checkpoint {
  const { id, sandboxId, name, sizeBytes, fileCount, createdAt } = record
  return { id, sandboxId, name, sizeBytes, fileCount, createdAt: iso(createdAt) }
}

/**
 * A snapshot as the API shows it; of its environment the names alone.
 * @param sandboxes made from it and not ended
 */
export function toSnapshot(record: SnapshotRecord, sandboxes: number): Snapshot {
  const { id, name, tag, description, metadata, runtime, sandboxId, parentId } = record
  const { sizeBytes, fileCount, contentHash, dependencies, packages } = record
  const origin = { runtime, sandboxId, parentId, contentHash, dependencies, packages }
  const times = { createdAt: iso(record.createdAt), updatedAt: iso(record.updatedAt) }
  const env = Object.keys(record.env).sort()
  const { public: isPublic, memory } = record
  const what = { id, name, tag, description, public: isPublic, memory, metadata }
  return { ...what, ...origin, sizeBytes, fileCount, sandboxes, env, ...times }
}

/** A session as the API shows it. @param sandbox null: its record was purged */
export function toSession(record: SessionRecord, sandbox: SandboxRecord | null): Session {
  const { id, name, sandboxId, pauseAfterMs, metadata, projectId, orgId } = record
  return {
    ...{ id, name, sandboxId, pauseAfterMs, metadata, projectId, orgId },
    status: sessionStatus(record, sandbox),
    workspace: WORKSPACE,
    createdAt: iso(record.createdAt),
    updatedAt: iso(record.updatedAt),
    bootedAt: orNull(sandbox?.bootedAt ?? null),
    deletedAt: orNull(record.deletedAt ?? sandbox?.endedAt ?? null),
  }
}

function iso(time: number): string {
  return new Date(time).toISOString()
}

function orNull(time: number | null): string | null {
  return time === null ? null : iso(time)
}
