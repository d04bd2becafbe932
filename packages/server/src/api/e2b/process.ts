import type { Execution } from '@caisson/protocol/resources'
import { ConnectError, clientStream, serverStream, timeoutOf, unary, userOf } from './connect.ts'
import { toSandboxId } from './ids.ts'
import { templateIdOf } from './names.ts'
import { endEvent, endOfStarted, sendEvents } from './process-events.ts'
import { findKnown, findRunning, runningProcesses } from './process-find.ts'
import {
  type Input,
  Nothing,
  Selected,
  SendInput,
  SendSignal,
  Start,
  StreamInput,
  Update,
} from './process-messages.ts'
import { startFailure } from './process-start.ts'
import type { Call, Dialect, Route } from './route.ts'

/** Bytes of output kept of a process: what a client misses is not sent again, and who reads along is waited for. */
const OUTPUT_LIMIT = 64 * 1024 * 1024

const NOT_OPEN = 'stdin of this process is not open: it was started without, or has been closed'

/** The service `process.Process`: processes are executions, found by the number that the sandbox knows them by. */
export function processRoutes(dialect: Dialect): Route[] {
  const { useCases } = dialect
  const running = (call: Call, selector: Parameters<typeof findRunning>[2]) =>
    findRunning(useCases, call.sandbox, selector)
  return [
    unary('process.Process/List', Nothing, async (_, { sandbox }) => ({
      processes: (await runningProcesses(useCases, sandbox)).map(show),
    })),
    serverStream('process.Process/Start', Start, async (input, call, stream) => {
      const execution = await start(dialect, input, call)
      const output = await useCases.readOutput(execution.id, { offset: 0 }, 'paced', stream.signal)
      await stream.send(endOfStarted(await sendEvents(output, stream)))
    }),
    serverStream('process.Process/Connect', Selected, async ({ process }, { sandbox }, stream) => {
      const { id } = await findKnown(useCases, sandbox, process)
      const output = await useCases.readOutput(id, { tail: 0 }, 'paced', stream.signal)
      await stream.send(endEvent(await sendEvents(output, stream)))
    }),
    unary('process.Process/Update', Update, async ({ process, pty }, call) => {
      const { id } = await running(call, process)
      if (pty !== undefined) await useCases.resizeTerminal(id, pty.size.cols, pty.size.rows)
      return {}
    }),
    unary('process.Process/SendInput', SendInput, async ({ process, input }, call) => {
      const execution = await running(call, process)
      await useCases.writeStdin(execution.id, [bytesFor(execution, input)], false, call.signal)
      return {}
    }),
    clientStream('process.Process/StreamInput', StreamInput, async (messages, call) => {
      let execution: Execution | undefined
      for await (const { start: begin, data } of messages) {
        if (begin !== undefined) execution = await running(call, begin.process)
        if (data === undefined) continue
        if (execution === undefined)
          throw new ConnectError('invalid_argument', 'the first message names no process')
        await useCases.writeStdin(execution.id, [bytesFor(execution, data.input)], false, call.signal)
      }
      return {}
    }),
    unary('process.Process/SendSignal', SendSignal, async ({ process, signal }, call) => {
      const { id } = await running(call, process)
      // All that it has started, too: nobody else would end them.
      await useCases.killExecution(id, { signal: signal.replace('SIGNAL_', ''), scope: 'tree' })
      return {}
    }),
    unary('process.Process/CloseStdin', Selected, async ({ process }, call) => {
      const { id, tty, stdin } = await running(call, process)
      if (stdin !== true) throw new ConnectError('failed_precondition', NOT_OPEN)
      if (tty) throw new ConnectError('failed_precondition', 'a terminal has no end of input; send it ^D')
      await useCases.writeStdin(id, [], true, call.signal)
      return {}
    }),
  ]
}

async function start({ useCases }: Dialect, input: Start, call: Call): Promise<Execution> {
  const { process, pty, tag } = input
  const user = userOf(call)
  const timeoutMs = timeoutOf(call.request)
  try {
    return await useCases.startExecution(call.sandbox, {
      argv: [process.cmd, ...(process.args ?? [])],
      env: { ...(await identity(useCases, call)), ...process.envs },
      stdin: input.stdin ?? true,
      outputKeep: 'tail',
      outputLimit: OUTPUT_LIMIT,
      ...(process.cwd && { cwd: directory(process.cwd) }),
      ...(user !== undefined && { user }),
      ...(pty !== undefined && { tty: pty.size }),
      ...(tag !== undefined && { tag }),
      ...(timeoutMs !== null && { timeout: timeoutMs }),
    })
  } catch (error) {
    throw startFailure(error, { cwd: process.cwd, user })
  }
}

/** The agent reads a relative path from the user's home, which `~` means, too. */
function directory(cwd: string): string {
  return cwd === '~' || cwd.startsWith('~/') ? `.${cwd.slice(1)}` : cwd
}

/** By what programs know that they run in a sandbox, and in which. */
async function identity(useCases: Dialect['useCases'], call: Call): Promise<Record<string, string>> {
  const sandbox = await useCases.getSandbox(call.sandbox)
  const prefix = call.client === 'moru' ? 'MORU' : 'E2B'
  const own = {
    [`${prefix}_SANDBOX`]: 'true',
    [`${prefix}_SANDBOX_ID`]: toSandboxId(call.sandbox),
    [`${prefix}_TEMPLATE_ID`]: templateIdOf(sandbox),
  }
  const [volume] = sandbox.volumes
  if (call.client !== 'moru' || volume === undefined) return own
  return { ...own, MORU_VOLUME_ID: volume.volumeId, MORU_VOLUME_MOUNT_PATH: volume.path }
}

/** The environment is not told: it may hold secrets. */
function show({ pid, tag, argv: [cmd, ...args], cwd }: Execution): object {
  return { config: { cmd, args, envs: {}, ...(cwd !== null && { cwd }) }, pid, ...(tag !== null && { tag }) }
}

/** A terminal and a pipe are written under different names. */
function bytesFor({ tty, stdin: isOpen }: Execution, { stdin, pty }: Input): Buffer {
  if (tty && pty !== undefined) return pty
  if (tty) throw new ConnectError('invalid_argument', 'this process has a terminal: send input as "pty"')
  if (stdin === undefined)
    throw new ConnectError('invalid_argument', 'this process has no terminal: send input as "stdin"')
  if (isOpen !== true) throw new ConnectError('failed_precondition', NOT_OPEN)
  return stdin
}
