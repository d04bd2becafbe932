import { setImmediate } from 'node:timers/promises'
import { SandboxError } from '@caisson/protocol/errors'
import { mergeEnvironment } from '../core/environment.ts'
import { newEvent } from '../core/events.ts'
import { isProgramId } from '../core/ids.ts'
import type { EventRecord, ExecutionRecord } from '../core/records.ts'
import type { StartRequest } from '../guest/guest.ts'
import type { OutputWriter } from '../state/output-log.ts'
import { ask } from './connection.ts'
import type { Context } from './context.ts'
import { nowOrLater } from './eventually.ts'
import { type How, newExecution, type StartInput } from './execution-record.ts'
import type { Live } from './live.ts'
import { lastOomKills } from './oom-kills.ts'
import { RunningExecution } from './running-execution.ts'
import { supervise } from './supervise.ts'

/** Characters of a program's name that an event tells. */
const MAX_COMMAND = 256

/** Starts a program in a sandbox that runs; a pause that comes now waits for its start. */
export async function start(
  context: Context,
  live: Live,
  input: StartInput,
  once: { key: string; digest: string } | null,
  how: How = { kind: 'command', autoResumed: false },
): Promise<RunningExecution> {
  const end = live.begin(Date.now())
  try {
    return await begin(context, live, input, once, how)
  } finally {
    end()
  }
}

async function begin(
  context: Context,
  live: Live,
  input: StartInput,
  once: { key: string; digest: string } | null,
  how: How,
): Promise<RunningExecution> {
  const { store, config, failpoint } = context
  if (context.stopping) throw new SandboxError('shutting_down', {})
  if (live.executions.size >= config.maxExecutionsPerSandbox) {
    throw new SandboxError('too_many', {
      what: 'executions in this sandbox',
      limit: config.maxExecutionsPerSandbox,
    })
  }
  const record = newExecution(context, live, input, once, how)
  // A repeat must find what a server that died meanwhile has started; without a key nobody can repeat, and what runs
  // without a record is ended when it is found.
  if (once !== null) await store.executions.insert(record)
  failpoint('exec:recorded')
  const running = new RunningExecution(record, await openOutput(context, record))
  live.executions.set(record.id, running)
  try {
    await launch(context, live, running, input)
  } catch (error) {
    live.executions.delete(record.id)
    running.output.end()
    abandon(running, error)
    await nowOrLater(context, { execution: record.id }, () => forget(context, running))
    throw error
  }
  if (!isProgramId(record.id)) live.record.executionCount++
  supervise(context, live, running)
  return running
}

/**
 * Asks the agent to start the program. Its input goes out before it is remembered as running: what was never
 * acknowledged is undone after a crash, because its input is lost.
 */
async function launch(
  context: Context,
  live: Live,
  running: RunningExecution,
  input: StartInput,
): Promise<void> {
  const { record } = running
  const sink = running.sink(() => context.failpoint('exec:output'))
  const request = startRequest(context, live, record)
  const started = ask(context, live, (guest, signal) => {
    live.tellForgotten()
    return guest.start(request, sink, signal)
  })
  // Read while the agent is at it: nothing of the program can have been killed before it has begun.
  const counted = setImmediate().then(() => lastOomKills(context, live))
  const handle = await started
  running.oomKillsBefore = counted
  record.pid = handle.pid
  running.follow(handle)
  context.failpoint('exec:started')
  if (input.input !== undefined) {
    void feed(running, Buffer.from(input.input, input.inputEncoding ?? 'utf8'))
    // What is sent in one turn of the event loop leaves at its end; from there the kernel delivers it.
    await setImmediate()
  }
  await remember(context, record, record.idempotencyKey !== null)
  context.failpoint('exec:acknowledged')
}

/** From here on it runs, whatever becomes of this server. */
export async function remember(context: Context, record: ExecutionRecord, stored: boolean): Promise<void> {
  const startedAt = Date.now()
  const deadlineAt = record.timeoutMs === null ? null : startedAt + record.timeoutMs
  const change = { state: 'running', startedAt, deadlineAt, pid: record.pid } as const
  Object.assign(record, change)
  const options = { events: startEvents(record) }
  if (stored) await context.store.executions.update(record.id, change, options)
  else await context.store.executions.insert(record, options)
}

function startEvents({ kind, id, sandboxId, tag, argv }: ExecutionRecord): EventRecord[] {
  if (kind !== 'job') return []
  const command = argv[0]?.slice(0, MAX_COMMAND)
  return [newEvent(sandboxId, 'job:started', { job: id, tag, command })]
}

async function forget(context: Context, { record, output }: RunningExecution): Promise<void> {
  if (record.idempotencyKey !== null) await context.store.executions.remove(record.id)
  if (output.total > 0) await context.outputs.remove(record.id)
}

export function openOutput(context: Context, record: ExecutionRecord): Promise<OutputWriter> {
  return context.outputs.writer(record.id, { limit: record.outputLimit, keep: record.outputKeep })
}

/** Nobody was told of it, so that nothing of it may go on. */
function abandon(running: RunningExecution, error: unknown): void {
  const { handle } = running
  running.fail(error)
  handle
    ?.signal('SIGKILL', 'tree')
    .catch(() => {})
    .finally(() => handle.forget())
}

function startRequest(context: Context, live: Live, record: ExecutionRecord): StartRequest {
  const user = record.user ?? live.record.user ?? context.driver.defaultUser
  const cwd = record.cwd ?? live.record.workdir
  return {
    id: record.id,
    argv: record.argv,
    env: mergeEnvironment({ sandbox: live.id, tty: record.tty !== null }, live.record.env, record.env),
    ...(cwd !== null && { cwd }),
    ...(user !== null && { user }),
    ...(record.tty !== null && { tty: record.tty }),
    stdin: record.stdin,
  }
}

/** Sends a request's inline input and closes stdin; a program that has gone needs none. */
async function feed(running: RunningExecution, data: Uint8Array): Promise<void> {
  try {
    await running.handle?.writeStdin(data)
    running.handle?.closeStdin()
  } catch {
    // The execution's own ending tells what happened.
  }
}
