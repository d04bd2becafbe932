import { constants } from 'node:os'
import { getSystemErrorMessage } from 'node:util'
import { type ErrorCode, SandboxError } from '@caisson/protocol/errors'
import type { Fields } from '@caisson/protocol/frame-codec'
import { Field, LIMITS } from '@caisson/protocol/frames'

const { errno } = constants

/** What the agent says of a failure; the text comes from inside a sandbox and is for people only. */
export interface Failure {
  errno: number
  /** What was being done, without control characters. */
  message: string
  /** `message` with the meaning of `errno`. */
  reason: string
}

const MAX_MESSAGE = 300

export function readFailure(fields: Fields): Failure {
  const number = fields.u64(Field.ERRNO) ?? errno.EIO
  const text = (fields.string(Field.MESSAGE) ?? '').slice(0, MAX_MESSAGE)
  const message = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '\ufffd')
  const meaning = describe(number)
  return { errno: number, message, reason: message === '' ? meaning : `${message}: ${meaning}` }
}

function describe(number: number): string {
  const known = number > 0 && number < 4096
  return known ? getSystemErrorMessage(-number) : `unknown error ${number}`
}

/** The errors of a file operation, by errno; everything else is `file_failed`. */
const FILE_CODES: ReadonlyMap<number, ErrorCode> = new Map([
  [errno.ENOENT, 'file_not_found'],
  [errno.EACCES, 'file_denied'],
  [errno.EPERM, 'file_denied'],
  [errno.EROFS, 'file_denied'],
  [errno.EEXIST, 'file_exists'],
  [errno.ENOTEMPTY, 'directory_not_empty'],
  [errno.ENOSPC, 'no_space'],
  [errno.EDQUOT, 'no_space'],
  [errno.EISDIR, 'file_wrong_type'],
  [errno.ENOTDIR, 'file_wrong_type'],
  [errno.EINVAL, 'file_wrong_type'],
  [errno.ELOOP, 'file_wrong_type'],
])

export interface FileContext {
  path: string
  user: string
}

export function fileError(context: FileContext, failure: Failure, cause?: Error): SandboxError {
  if (failure.errno === errno.ENOTSUP || failure.errno === errno.ENOSYS)
    return new SandboxError('not_supported', {
      what: `What was asked for ${context.path}`,
      reason: failure.reason,
    })
  const code = FILE_CODES.get(failure.errno) ?? 'file_failed'
  return new SandboxError(code, { ...context, reason: failure.reason } as never, { cause })
}

/** A connection to a port that was not made. */
export function dialError(sandbox: string, port: number, failure: Failure): SandboxError {
  return new SandboxError('port_closed', { sandbox, port, reason: failure.reason })
}

/** A program that was not started: not found, or something before it (`user`, `cwd`, `pty`, `start`) failed. */
export function startError(argv: readonly string[], failure: Failure): SandboxError {
  const details = { command: argv[0] ?? '', reason: failure.reason }
  if (failure.message.startsWith('exec')) return new SandboxError('command_not_found', details)
  if (failure.errno === errno.EAGAIN && failure.message.startsWith('start: too many'))
    return new SandboxError('too_many', { what: 'executions in the sandbox', limit: LIMITS.MAX_EXECUTIONS })
  return new SandboxError('cannot_start', details)
}

/** An execution that is not held, or whose output is not the one that was kept here: then it is another agent's. */
export function attachError(sandbox: string, execution: string, failure: Failure): SandboxError {
  if (failure.errno === errno.ENOENT) return new SandboxError('execution_not_found', { execution })
  return new SandboxError('agent_lost', { sandbox, reason: `execution ${execution}: ${failure.reason}` })
}

const NOBODY: readonly number[] = [errno.ESRCH, errno.ECHILD]

export function signalError(execution: string, failure: Failure): SandboxError {
  if (NOBODY.includes(failure.errno)) return new SandboxError('execution_ended', { execution })
  return new SandboxError('not_supported', { what: 'That signal', reason: failure.reason })
}
