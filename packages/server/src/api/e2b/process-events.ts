import { SandboxError } from '@caisson/protocol/errors'
import type { Execution, ExecutionEnding } from '@caisson/protocol/resources'
import type { Output } from '../../sandboxes/use-cases.ts'
import { ConnectError, type ConnectStream } from './connect.ts'

/** Bytes of output in one message, as clients are used to. */
const MAX_DATA = 32 * 1024
const MAX_TERMINAL_DATA = 16 * 1024

/** Endings that are the sandbox's own. */
const WITH_SANDBOX: readonly (ExecutionEnding | null)[] = [
  'sandbox-ended',
  'agent-lost',
  'host-lost',
  'idle-timeout',
]

/** How Go, in whose words clients are told of them, calls the signals that end programs. */
const SIGNALS: Readonly<Record<string, string>> = {
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGQUIT: 'quit',
  SIGILL: 'illegal instruction',
  SIGTRAP: 'trace/breakpoint trap',
  SIGABRT: 'aborted',
  SIGBUS: 'bus error',
  SIGFPE: 'floating point exception',
  SIGKILL: 'killed',
  SIGUSR1: 'user defined signal 1',
  SIGSEGV: 'segmentation fault',
  SIGUSR2: 'user defined signal 2',
  SIGPIPE: 'broken pipe',
  SIGALRM: 'alarm clock',
  SIGTERM: 'terminated',
}

/** Tells a process's start, its output and its end. @throws SandboxError `sandbox_ended` when it ended with its sandbox */
export async function sendEvents(output: Output, stream: ConnectStream): Promise<Execution> {
  const { execution } = output
  await stream.send({ event: { start: { pid: execution.pid } } })
  const most = execution.tty ? MAX_TERMINAL_DATA : MAX_DATA
  for await (const { stream: source, data } of output.chunks) {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    // All of it before the first wait: its memory is used again.
    const pieces: string[] = []
    for (let at = 0; at < bytes.length; at += most) pieces.push(bytes.toString('base64', at, at + most))
    for (const piece of pieces)
      await stream.send({ event: { data: { [execution.tty ? 'pty' : source]: piece } } })
  }
  const ended = await output.result()
  stream.signal.throwIfAborted()
  return ended
}

/** @throws SandboxError `sandbox_ended` */
export function endEvent(execution: Execution): { event: { end: object } } {
  const { ending, exitCode, signal, message, sandboxId } = execution
  if (WITH_SANDBOX.includes(ending) && exitCode === null)
    throw new SandboxError('sandbox_ended', { sandbox: sandboxId, reason: message ?? 'it has ended' })
  const exited = exitCode !== null
  const status = exited ? `exit status ${exitCode}` : `signal: ${SIGNALS[signal ?? ''] ?? signal ?? 'killed'}`
  return {
    event: { end: { exitCode: exitCode ?? -1, exited, status, ...(exitCode !== 0 && { error: status }) } },
  }
}

/** The same for whoever started it with a time that is over now. @throws SandboxError `sandbox_ended`, ConnectError */
export function endOfStarted(execution: Execution): { event: { end: object } } {
  if (execution.ending === 'execution-timeout')
    throw new ConnectError('deadline_exceeded', `the process was ended after its ${execution.timeoutMs} ms`)
  return endEvent(execution)
}
