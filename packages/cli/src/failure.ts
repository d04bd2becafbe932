import { constants } from 'node:os'
import { type ExecResult, SandboxError } from 'caisson'

/**
 * Exit codes. `run`, `exec` and `attach` end with the command's own; the rest say why there is none. 125 to 127 are
 * what shells and container tools use for the same.
 */
export const EXIT = {
  ok: 0,
  /** A verb other than run and exec failed. */
  failed: 1,
  usage: 2,
  /** The answer to a question that was asked with --exit-code is no. */
  refused: 3,
  timeout: 124,
  /** Caisson, and not the command, failed. */
  caisson: 125,
  cannotStart: 126,
  notFound: 127,
  signal: 128,
  outOfMemory: 137,
} as const

/** Wrong usage that the parser cannot see. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Something on this machine, and not on the server, stands in the way; the message says all. */
export class LocalFailure extends Error {
  override readonly name = 'LocalFailure'
}

/** What the system said of a local file, as a sentence; anything that is no system error is given back. */
export function localFailure(error: unknown, path: string): unknown {
  const { code, message, path: where = path } = error as NodeJS.ErrnoException
  if (typeof code !== 'string' || error instanceof SandboxError) return error
  const reason = LOCAL_REASONS[code] ?? message
  return new LocalFailure(`"${where}" on this machine: ${reason}`, { cause: error })
}

const LOCAL_REASONS: Record<string, string> = {
  ENOENT: 'there is no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  ENOTDIR: 'a part of the path is no directory',
  EISDIR: 'it is a directory',
  EEXIST: 'it exists already',
  ENOSPC: 'no space left',
  EROFS: 'read-only file system',
  ENAMETOOLONG: 'the name is too long',
}

/** An ending that the verb has explained already; nothing more is printed. */
export class Exit extends Error {
  readonly exitCode: number

  constructor(exitCode: number) {
    super(`exit ${exitCode}`)
    this.exitCode = exitCode
  }
}

/** Codes, in JSON, of failures that no server has told. */
const OWN_CODES: Record<string, string> = { UsageError: 'usage', LocalFailure: 'local_failure' }

/** Says what failed, on stderr: a sentence, or with `--json` the error's body. Gives the exit code. */
export function reportFailure(error: unknown, json: boolean): number {
  if (error instanceof Exit) return error.exitCode
  const known = error instanceof SandboxError
  const code = known ? error.code : (OWN_CODES[(error as Error)?.name] ?? 'internal')
  const message = error instanceof Error ? error.message : String(error)
  if (json) {
    const body = known ? error.toJSON() : { error: { code, message, retry: false, details: {} } }
    process.stderr.write(`${JSON.stringify(body)}\n`)
  } else {
    // An error of an unknown kind is a defect, and its stack is what a report needs.
    const unexpected = code === 'internal' && !known && error instanceof Error
    process.stderr.write(`caisson: ${unexpected ? error.stack : message}\n`)
  }
  return code === 'usage' ? EXIT.usage : EXIT.failed
}

/** The exit code of a verb that runs a command, when the command could not be run. */
export function startFailure(error: unknown, json: boolean): Exit {
  const exitCode = reportFailure(error, json)
  if (exitCode === EXIT.usage || error instanceof Exit) return new Exit(exitCode)
  if (SandboxError.is(error, 'command_not_found')) return new Exit(EXIT.notFound)
  if (SandboxError.is(error, 'cannot_start')) return new Exit(EXIT.cannotStart)
  return new Exit(EXIT.caisson)
}

/** An ending as results and records tell it; null where there is none yet. */
interface Ended {
  ending: ExecResult['ending'] | null
  exitCode: number | null
  signal: string | null
}

/** The exit code that a command's ending becomes. */
export function exitCodeOf(result: Ended): number {
  switch (result.ending) {
    case 'exited':
      return result.exitCode ?? EXIT.caisson
    case 'signalled':
      return EXIT.signal + signalNumber(result.signal ?? '')
    case 'out-of-memory':
      return EXIT.outOfMemory
    case 'execution-timeout':
    case 'idle-timeout':
      return EXIT.timeout
    case 'cancelled':
      return result.signal === null ? EXIT.caisson : EXIT.signal + signalNumber(result.signal)
    default:
      return EXIT.caisson
  }
}

export const signalNumber = (name: string): number =>
  (constants.signals as Record<string, number | undefined>)[name] ?? 0
