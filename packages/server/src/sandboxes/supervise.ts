import { newEvent } from '../core/events.ts'
import { isProgramId } from '../core/ids.ts'
import type { EventRecord, ExecutionRecord } from '../core/records.ts'
import { jobStatus } from '../core/view.ts'
import type { GuestExit } from '../guest/guest.ts'
import type { Context } from './context.ts'
import { eventually } from './eventually.ts'
import { killTree } from './kill-tree.ts'
import type { Live } from './live.ts'
import { seeOomKills } from './oom-kills.ts'
import type { Deadline, Outcome, RunningExecution } from './running-execution.ts'

/** After the leader's end, output that another process still holds open is awaited only while it moves. */
const DRAIN_MS = 200
/** Between attempts to end a command whose time is over. */
const RETRY_MS = 1000

/** Watches an execution until its ending is stored: enforces its deadline, gathers the evidence, wakes who waits. */
export function supervise(context: Context, live: Live, running: RunningExecution): void {
  void watch(context, live, running).catch((error) => {
    context.log.error({ execution: running.record.id, err: error }, 'an execution is not watched any more')
  })
}

async function watch(context: Context, live: Live, running: RunningExecution): Promise<void> {
  const { record } = running
  running.deadline = deadlineOf(context, live, running)
  running.deadline?.go()
  const outcome = await running.outcome
  running.deadline?.stop()
  running.deadline = null
  if ('exit' in outcome) await drain(running)
  await running.released
  context.failpoint('exec:exited')
  running.output.end()
  Object.assign(record, await ending(context, live, running, outcome))
  await store(context, running)
  context.failpoint('exec:ended')
  live.executions.delete(record.id)
  if (!isProgramId(record.id)) live.record.lastActiveAt = Date.now()
  context.reschedule()
  const handle = running.settle()
  if (handle !== null) live.forget(handle)
}

/**
 * Stores the ending. Where the disk takes none, those who wait are told all the same: the agent holds the execution
 * until it is stored, so that even then a restart finds its ending.
 */
async function store(context: Context, running: RunningExecution): Promise<void> {
  const { record } = running
  const options = { events: endEvents(record) }
  const write = () => context.store.executions.update(record.id, endingOf(record), options)
  await write().catch(async (err) => {
    context.log.error({ execution: record.id, err }, 'an ending could not be stored')
    running.tell()
    await eventually(context, { execution: record.id }, write)
  })
}

function endingOf(record: ExecutionRecord): EndingFields {
  return {
    state: 'ended',
    ending: record.ending,
    exitCode: record.exitCode,
    signal: record.signal,
    message: record.message,
    oomKills: record.oomKills,
    cpuUsec: record.cpuUsec,
    maxRssBytes: record.maxRssBytes,
    outputBytes: record.outputBytes,
    outputStart: record.outputStart,
    outputTruncated: record.outputTruncated,
    endedAt: record.endedAt,
  }
}

function endEvents(record: ExecutionRecord): EventRecord[] {
  if (record.kind !== 'job') return []
  const { id, tag, ending, exitCode, signal } = record
  const status = jobStatus(record)
  return [newEvent(record.sandboxId, 'job:ended', { job: id, tag, status, ending, exitCode, signal })]
}

/** A deadline survives a restart of the server: it is an instant, not a countdown. */
function deadlineOf(context: Context, live: Live, running: RunningExecution): Deadline | null {
  if (running.record.deadlineAt === null) return null
  let going = false
  let timer: NodeJS.Timeout | undefined
  const expire = () => {
    const left = leftOf(running)
    // setTimeout counts at most 2^31-1 ms.
    if (left > 0) return arm(left)
    killTree(context, live, running, 'timeout').catch((err) => {
      context.log.warn(
        { execution: running.record.id, err },
        'the timeout is enforced as soon as the agent answers',
      )
      arm(RETRY_MS)
    })
  }
  const arm = (ms: number) => {
    clearTimeout(timer)
    if (going) timer = setTimeout(expire, Math.min(ms, 2 ** 31 - 1)).unref()
  }
  return {
    go: () => {
      going = true
      arm(leftOf(running))
    },
    stop: () => {
      going = false
      clearTimeout(timer)
    },
  }
}

function leftOf({ record }: RunningExecution): number {
  return Math.max(0, (record.deadlineAt ?? Number.POSITIVE_INFINITY) - Date.now())
}

async function drain(running: RunningExecution): Promise<void> {
  let closed = false
  const done = running.outputClosed.then(() => {
    closed = true
  })
  for (let seen = -1; !closed && seen !== running.output.total; ) {
    seen = running.output.total
    let timer: NodeJS.Timeout | undefined
    const quiet = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, DRAIN_MS)
    })
    await Promise.race([done, quiet])
    clearTimeout(timer)
  }
}

type EndingFields = Pick<
  ExecutionRecord,
  | 'state'
  | 'ending'
  | 'exitCode'
  | 'signal'
  | 'message'
  | 'oomKills'
  | 'cpuUsec'
  | 'maxRssBytes'
  | 'outputBytes'
  | 'outputStart'
  | 'outputTruncated'
  | 'endedAt'
>

async function ending(
  context: Context,
  live: Live,
  running: RunningExecution,
  outcome: Outcome,
): Promise<EndingFields> {
  const { output, record } = running
  const common = {
    state: 'ended' as const,
    exitCode: null,
    signal: null,
    oomKills: 0,
    cpuUsec: null,
    maxRssBytes: null,
    outputBytes: output.total,
    outputStart: output.start,
    outputTruncated: output.truncated,
    endedAt: Date.now(),
  }
  if (!('exit' in outcome)) return { ...common, ending: outcome.ending, message: outcome.message }
  const { exit } = outcome
  const kills = Math.max(0, (await seeOomKills(context, live)) - (await running.oomKillsBefore))
  return {
    ...common,
    oomKills: kills,
    cpuUsec: exit.cpuUsec,
    maxRssBytes: exit.maxRssBytes,
    ...judge(record, exit, kills),
  }
}

/** Tells how an execution ended, by evidence alone: what was asked for, what the agent saw, what the kernel counted. */
export function judge(
  record: Pick<ExecutionRecord, 'killReason' | 'timeoutMs'>,
  exit: GuestExit,
  kills: number,
): Pick<ExecutionRecord, 'ending' | 'exitCode' | 'signal' | 'message'> {
  const how = 'signal' in exit ? `it was ended by ${exit.signal}` : `it exited with code ${exit.code}`
  const signal = 'signal' in exit ? exit.signal : null
  if (record.killReason === 'timeout') {
    return {
      ending: 'execution-timeout',
      exitCode: null,
      signal,
      message: `The timeout of ${record.timeoutMs} ms passed; after the signal, ${how}.`,
    }
  }
  if ('code' in exit) {
    const message =
      kills > 0
        ? `The kernel killed ${kills} of its processes for memory; the command itself exited with code ${exit.code}.`
        : null
    return { ending: 'exited', exitCode: exit.code, signal: null, message }
  }
  if (record.killReason === 'cancelled' || record.killReason === 'stopped') {
    return { ending: 'cancelled', exitCode: null, signal, message: `A kill was asked for; ${how}.` }
  }
  if (exit.signal === 'SIGKILL' && kills > 0) {
    return {
      ending: 'out-of-memory',
      exitCode: null,
      signal,
      message: 'The kernel killed it: the sandbox was at its memory limit.',
    }
  }
  return { ending: 'signalled', exitCode: null, signal, message: `The command: ${how}.` }
}
