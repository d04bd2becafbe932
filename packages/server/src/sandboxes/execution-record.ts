import { parseDuration } from '../core/duration.ts'
import { assertEnvironment } from '../core/environment.ts'
import { newId } from '../core/ids.ts'
import type { ExecutionRecord } from '../core/records.ts'
import type { Context } from './context.ts'
import type { Live } from './live.ts'
import type { UseCases } from './use-cases.ts'

export type StartInput = Parameters<UseCases['startExecution']>[1]
/** What the input does not tell. */
export type How = Pick<ExecutionRecord, 'kind' | 'autoResumed'> & {
  /** It belongs to the sandbox itself, and does not keep it from being idle. */
  own?: true
}

/** The record of an execution that is asked for. @throws SandboxError `invalid_request` */
export function newExecution(
  context: Context,
  live: Live,
  input: StartInput,
  once: { key: string; digest: string } | null,
  { kind, autoResumed, own }: How,
): ExecutionRecord {
  if (input.env !== undefined) assertEnvironment(input.env)
  const timeoutMs = parseDuration(input.timeout ?? 0, 'timeout')
  return {
    id: newId(own ? 'prg' : kind === 'job' ? 'job' : 'exe'),
    sandboxId: live.id,
    kind,
    tag: input.tag ?? null,
    state: 'pending',
    pid: null,
    argv: input.argv,
    cwd: input.cwd ?? null,
    user: input.user ?? null,
    env: input.env ?? {},
    tty: input.tty ?? null,
    stdin: input.stdin === true || input.input !== undefined,
    timeoutMs: timeoutMs === 0 ? null : timeoutMs,
    deadlineAt: null,
    outputLimit: input.outputLimit ?? context.config.outputLimit,
    outputKeep: input.outputKeep ?? (kind === 'job' || input.tty !== undefined ? 'tail' : 'head'),
    outputBytes: 0,
    outputStart: 0,
    outputTruncated: false,
    killReason: null,
    ending: null,
    exitCode: null,
    signal: null,
    message: null,
    oomKills: 0,
    autoResumed,
    cpuUsec: null,
    maxRssBytes: null,
    createdAt: Date.now(),
    startedAt: null,
    endedAt: null,
    idempotencyKey: once?.key ?? null,
    requestDigest: once?.digest ?? null,
  }
}
