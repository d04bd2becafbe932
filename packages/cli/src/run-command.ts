import type { ExecOptions, ExecResult, Execution } from 'caisson'
import { Exit, exitCodeOf, startFailure } from './failure.ts'
import { Interrupts } from './interrupt.ts'
import { type CommandFlags, commandOf } from './options.ts'
import { createPrinter } from './output.ts'
import { note, printJson, stdinIsPiped } from './stdio.ts'
import { joinTerminal, terminalSize } from './terminal.ts'

/** Output that `--json` keeps for its document, in bytes; the rest is told by `outputTruncated`. */
const JSON_BUFFER = 64 * 1024 * 1024

/**
 * Runs a command for a person or a script: stdin in, output out, signals on, and the command's exit code as ours.
 *
 * @param start the SDK's call, given the options that the flags ask for
 * @param more what is known beside the result when the command has ended, for the JSON document
 */
export async function runCommand(
  flags: CommandFlags,
  start: (options: ExecOptions) => Promise<ExecResult>,
  more: () => object = () => ({}),
): Promise<void> {
  using interrupts = new Interrupts()
  try {
    const result = wantsTerminal(flags)
      ? await withTerminal(flags, start, interrupts)
      : await withPipes(flags, start, interrupts)
    if (flags.json) await printJson({ ...resultJson(result), ...more() })
    else explain(result)
    process.exitCode = interrupts.exitCode ?? exitCodeOf(result)
  } catch (error) {
    if (interrupts.exitCode !== undefined) throw new Exit(interrupts.exitCode)
    throw startFailure(error, flags.json === true)
  }
}

/** A person at a terminal gets one, unless a program reads the output. */
function wantsTerminal(flags: CommandFlags): boolean {
  const both = process.stdin.isTTY === true && process.stdout.isTTY === true
  return flags.tty ?? (both && !flags.json && !flags.quiet && !flags.timestamps && flags.stdin !== false)
}

async function withPipes(
  flags: CommandFlags,
  start: (options: ExecOptions) => Promise<ExecResult>,
  interrupts: Interrupts,
): Promise<ExecResult> {
  const forward = flags.stdin !== false && (flags.interactive === true || stdinIsPiped())
  return start({
    ...commandOf(flags),
    ...(forward && { stdin: process.stdin }),
    onOutput: createPrinter(flags),
    onStarted: (execution) => interrupts.started(execution),
    maxBuffer: flags.json ? JSON_BUFFER : 0,
    signal: interrupts.signal,
  })
}

/** The start's own stream keeps a one-shot sandbox alive and brings the ending; the terminal is joined beside it. */
async function withTerminal(
  flags: CommandFlags,
  start: (options: ExecOptions) => Promise<ExecResult>,
  interrupts: Interrupts,
): Promise<ExecResult> {
  let joined: Promise<void> | undefined
  const result = await start({
    ...commandOf(flags),
    tty: terminalSize(),
    openStdin: true,
    onStarted: (execution: Execution) => {
      interrupts.started(execution)
      joined = joinTerminal(execution, { signal: interrupts.signal })
      joined.catch(() => {})
    },
    maxBuffer: flags.json ? JSON_BUFFER : 0,
    signal: interrupts.signal,
  })
  await joined
  return result
}

/** Endings that an exit code does not tell. */
function explain(result: ExecResult): void {
  if (result.ending !== 'exited') note(`the command ended: ${result.message ?? result.ending}`)
  else if (result.execution.outputTruncated) note('the output went beyond its limit and is cut')
}

/** The result as one document. Output that is not UTF-8 is given as base64 as well. */
function resultJson(result: ExecResult): object {
  return {
    ...result.toJSON(),
    ...exact('stdout', result.stdout, result.stdoutBytes),
    ...exact('stderr', result.stderr, result.stderrBytes),
  }
}

function exact(name: string, text: string, bytes: Uint8Array): object {
  const raw = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  return raw.equals(Buffer.from(text)) ? {} : { [`${name}Base64`]: raw.toString('base64') }
}
