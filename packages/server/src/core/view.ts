import type {
  Event,
  Execution,
  ExposedPort,
  Job,
  JobStatus,
  Sandbox,
  Status,
} from '@caisson/protocol/resources'
import { showNetwork } from './network/rules.ts'
import type { EventRecord, ExecutionRecord, SandboxRecord } from './records.ts'

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
    idleTimeoutMs: record.idleTimeoutMs,
    expiresAt: orNull(record.expiresAt),
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

/** `ready` is the only state with two faces. */
function statusOf({ state }: SandboxRecord, busy: boolean): Status {
  if (state !== 'ready') return state
  return busy ? 'running' : 'idle'
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
    terminal: record.tty,
    ending: record.ending,
    exitCode: record.exitCode,
    signal: record.signal,
    message: record.message,
    oomKills: record.oomKills,
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

function iso(time: number): string {
  return new Date(time).toISOString()
}

function orNull(time: number | null): string | null {
  return time === null ? null : iso(time)
}
