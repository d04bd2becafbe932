import { SandboxError } from '@caisson/protocol/errors'
import { orAborted } from '../abort.ts'
import type { ExecutionRecord } from '../core/records.ts'
import type { Context } from './context.ts'
import type { StartInput } from './execution-record.ts'
import { lastLines } from './last-lines.ts'
import { start } from './launch-execution.ts'
import type { Live } from './live.ts'
import { loseExecutions } from './pausing/halt.ts'
import type { RunningExecution } from './running-execution.ts'

/** A start program that is not ready by then has failed. */
const READY_SECONDS = 60
/** Beyond that and the grace of a kill, the agent does not answer any more. */
const SLACK_MS = 5000
/** Kept of what a start program writes, its end. */
const PROGRAM_OUTPUT = 16 * 1024 * 1024
/** The same of what it is asked. */
const CHECK_OUTPUT = 64 * 1024
/** Of either, so many lines are told when it fails. */
const LOG_LINES = 10
const LOG_BYTES = 8192

/** How a shell runs a text that comes behind; the first that a sandbox has. */
const SHELLS: readonly string[][] = [
  ['/bin/bash', '-l', '-c'],
  ['/bin/sh', '-c'],
]

/** $1 a shell, $2 what it is to try; where `sleep` takes no fractions, each try waits a second. */
const UNTIL_READY = `
for pause in 0.05 0.05 0.1 0.1 0.2 0.2 0.3 0.4; do
  "$1" -c "$2" && exit 0
  sleep "$pause" 2>/dev/null || sleep 1
done
while :; do
  "$1" -c "$2" && exit 0
  sleep 0.5 2>/dev/null || sleep 1
done`

/** What a start program is run with instead of what the sandbox's record says. */
export type StartedAs = Pick<StartInput, 'user' | 'cwd' | 'env'>

/**
 * Runs what a sandbox runs from its start on, and waits until it is ready. It goes on in the background, as a job with
 * the tag `start` that does not keep the sandbox from being idle. Nothing to do for one that has none, or that serves
 * the server itself.
 * @throws Error that says why it is not ready
 */
export async function startProgram(context: Context, live: Live, signal?: AbortSignal): Promise<void> {
  const { start: program, internal } = live.record
  if (program !== null && internal === null) await launchProgram(context, live, program, {}, signal)
}

/** The same for any program. `command` null: only what tells that it is ready is waited for. */
export async function launchProgram(
  context: Context,
  live: Live,
  { command, ready }: { command: string | null; ready: string | null },
  as: StartedAs,
  signal?: AbortSignal,
): Promise<RunningExecution | null> {
  const job = { tag: 'start', outputLimit: PROGRAM_OUTPUT, ...as }
  const program = command === null ? null : await inShell(context, live, command, [], job, 'job')
  context.failpoint('start:launched')
  if (ready !== null) await untilReady(context, live, ready, program, as, signal)
  return program
}

/** Ends what runs in a sandbox that comes to nothing, so that nobody waits for it. */
export function endExecutions(live: Live, message: string): Promise<void> {
  return loseExecutions(live, 'sandbox-ended', message)
}

async function untilReady(
  context: Context,
  live: Live,
  ready: string,
  program: RunningExecution | null,
  as: StartedAs,
  signal?: AbortSignal,
): Promise<void> {
  const { killGraceMs } = context.config
  const input = { tag: 'ready', timeout: `${READY_SECONDS}s`, outputLimit: CHECK_OUTPUT, ...as }
  const check = await inShell(
    context,
    live,
    UNTIL_READY,
    [ready],
    { ...input, outputKeep: 'tail' },
    'command',
  )
  const patience = AbortSignal.timeout(READY_SECONDS * 1000 + killGraceMs + SLACK_MS)
  const either = signal === undefined ? patience : AbortSignal.any([signal, patience])
  const first = Promise.race([
    check.ended,
    ...(program === null ? [] : [failureOf(program)]),
    brokenOff(live),
  ])
  const ended = await orAborted(first, either).catch((error) => {
    signal?.throwIfAborted()
    throw patience.aborted ? new Error('its agent does not answer') : error
  })
  if (ended.id === check.record.id && ended.exitCode === 0) return
  const log = (await tailOf(context, check)) || (program === null ? '' : await tailOf(context, program))
  throw new Error(`${whyNot(ended, check)}${log === '' ? '' : `; it printed: ${log}`}`)
}

function whyNot(ended: ExecutionRecord, check: RunningExecution): string {
  if (ended.id !== check.record.id) return `the start program ended with ${howOf(ended)} before it was ready`
  if (ended.ending === 'execution-timeout') return `the start program was not ready within ${READY_SECONDS} s`
  return `what asks whether the start program is ready ended with ${howOf(ended)}`
}

function howOf({ exitCode, signal, message }: ExecutionRecord): string {
  return exitCode === null ? (signal ?? message ?? 'no exit code') : `exit code ${exitCode}`
}

/** When it ends with a failure; a program that has started another one in the background may end well before that is ready. */
async function failureOf(program: RunningExecution): Promise<ExecutionRecord> {
  const ended = await program.ended
  return ended.exitCode === 0 ? new Promise(() => {}) : ended
}

/** Nobody connects a sandbox anew that is not there yet. */
async function brokenOff(live: Live): Promise<never> {
  const guest = await live.guest()
  await guest.closed
  throw live.lost('the connection broke while its start program was awaited')
}

async function inShell(
  context: Context,
  live: Live,
  text: string,
  args: string[],
  input: Omit<StartInput, 'argv'>,
  kind: 'command' | 'job',
): Promise<RunningExecution> {
  const how = { kind, autoResumed: false, own: true } as const
  for (const [at, [shell, ...options]] of SHELLS.entries()) {
    const argv = [shell!, ...options, text, ...(args.length > 0 ? ['start', shell!, ...args] : [])]
    try {
      return await start(context, live, { ...input, argv }, null, how)
    } catch (error) {
      if (!SandboxError.is(error, 'command_not_found') || at === SHELLS.length - 1) throw error
    }
  }
  throw new Error('there is no shell')
}

async function tailOf({ outputs }: Context, { record, output }: RunningExecution): Promise<string> {
  const pieces: Buffer[] = []
  const from = Math.max(output.start, output.kept - LOG_BYTES)
  for await (const { data } of outputs.read(record.id, from)) pieces.push(Buffer.from(data))
  return lastLines(Buffer.concat(pieces).toString('utf8'), LOG_LINES)
}
