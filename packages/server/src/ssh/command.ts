import { setTimeout as delay } from 'node:timers/promises'
import { SandboxError } from '@caisson/protocol/errors'
import type { ServerChannel } from 'ssh2'
import { noting } from '../sandboxes/pausing/noted.ts'
import { ChannelWriter } from './channel-writer.ts'
import type { SshConnection } from './connection.ts'
import { tellEnding } from './ending.ts'
import type { Wishes } from './session.ts'

/**
 * Bytes of output that the history keeps, the last ones. The program waits for its client, so that what a client has not
 * taken is always among them.
 */
const OUTPUT_LIMIT = 64 * 1024 * 1024
/** Milliseconds between the hang-up and SIGKILL. */
const HANG_UP_GRACE = 5000
const SIGNALS = [
  'ABRT',
  'ALRM',
  'CONT',
  'HUP',
  'INT',
  'KILL',
  'QUIT',
  'STOP',
  'TERM',
  'TSTP',
  'USR1',
  'USR2',
  'WINCH',
]

export interface Command {
  channel: ServerChannel
  argv: string[]
  wishes: Wishes
  /** Aborts when the client has closed the channel or its connection. */
  gone: AbortSignal
}

/** Runs a program on a channel as an execution of the sandbox; never rejects. What it resumes is resumed by SSH. */
export function runCommand(connection: SshConnection, command: Command): Promise<void> {
  return noting({ resumed: false, by: 'ssh' }, () => serve(connection, command))
}

async function serve(connection: SshConnection, command: Command): Promise<void> {
  const { channel, gone } = command
  const writer = new ChannelWriter(channel, connection, gone)
  channel.on('error', () => {})
  channel.stderr.on('error', () => {})
  try {
    const execution = await start(connection, command)
    await follow(connection, command, writer, execution)
  } catch (error) {
    if (!gone.aborted) await fail(connection, command, writer, error)
  } finally {
    // Unread input would keep ssh2 from closing the channel.
    channel.resume()
    channel.end()
  }
}

async function start({ useCases, sandbox }: SshConnection, command: Command): Promise<string> {
  const { argv, wishes } = command
  const { id } = await useCases.startExecution(sandbox, {
    argv,
    env: wishes.env,
    stdin: true,
    outputKeep: 'tail',
    outputLimit: OUTPUT_LIMIT,
    tag: 'ssh',
    ...(wishes.tty !== null && { tty: wishes.tty }),
  })
  return id
}

async function follow(
  connection: SshConnection,
  { channel, wishes, gone }: Command,
  writer: ChannelWriter,
  execution: string,
): Promise<void> {
  const { useCases } = connection
  const over = new AbortController()
  try {
    listen(connection, wishes, execution)
    const input = inputOf(channel, AbortSignal.any([gone, over.signal]))
    // A program that has ended or closed its input needs none; how it ended is told by the output.
    useCases.writeStdin(execution, input, true, over.signal).catch(() => channel.resume())
    const output = await useCases.readOutput(execution, { offset: 0 }, 'paced', gone)
    let next = 0
    for await (const { offset, stream, data } of output.chunks) {
      if (offset !== next) throw new Error(`${offset - next} bytes of output came faster than you took them`)
      next += data.length
      await writer.write(stream, data)
    }
    gone.throwIfAborted()
    const ended = await output.result()
    if (ended.outputBytes > next) throw new Error(`${ended.outputBytes - next} bytes of output are not kept`)
    await tellEnding(channel, writer, ended, wishes.tty !== null)
  } catch (error) {
    if (!connection.leaving()) void hangUp(connection, execution, wishes.tty !== null)
    throw error
  } finally {
    over.abort()
    wishes.resize = null
    wishes.signal = null
  }
}

/** What the client may ask of the program while it runs; a program that has just ended needs none of it. */
function listen({ useCases, log }: SshConnection, wishes: Wishes, execution: string): void {
  const quietly = (work: Promise<unknown>) =>
    void work.catch((err) => log.debug({ execution, err }, 'an SSH request came to nothing'))
  const { tty } = wishes
  wishes.resize = (cols, rows) => quietly(useCases.resizeTerminal(execution, cols, rows))
  wishes.signal = (name) => {
    if (SIGNALS.includes(name))
      quietly(useCases.killExecution(execution, { signal: `SIG${name}` as 'SIGTERM', scope: 'group' }))
  }
  // It may have changed while the program was started.
  if (tty !== null) wishes.resize(tty.cols, tty.rows)
}

/** What the client sends, until it ends its input or `signal` aborts. */
async function* inputOf(channel: ServerChannel, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let wake = () => {}
  const onEvent = () => wake()
  channel.on('readable', onEvent)
  channel.on('end', onEvent)
  signal.addEventListener('abort', onEvent)
  try {
    while (!signal.aborted) {
      const data = channel.read() as Uint8Array | null
      if (data !== null) yield data
      else if (channel.readableEnded) return
      else
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    }
  } finally {
    channel.off('readable', onEvent)
    channel.off('end', onEvent)
    signal.removeEventListener('abort', onEvent)
  }
}

/**
 * The client has gone before its program: what a terminal's hang-up does, and what is left after a while is killed.
 * A shell passes it on to its jobs, but for those that it was told to leave alone.
 */
async function hangUp({ useCases, log }: SshConnection, execution: string, tty: boolean): Promise<void> {
  try {
    await useCases.killExecution(execution, { signal: 'SIGHUP', scope: tty ? 'leader' : 'tree' })
    await delay(HANG_UP_GRACE, undefined, { ref: false })
    await useCases.killExecution(execution, { signal: 'SIGKILL', scope: 'tree' })
  } catch (err) {
    if (!SandboxError.is(err, 'execution_ended')) log.warn({ execution, err }, 'a hang-up came to nothing')
  }
}

/** The program could not be run, or not be followed. */
async function fail(
  { log }: SshConnection,
  { channel, gone, wishes }: Command,
  writer: ChannelWriter,
  error: unknown,
): Promise<void> {
  if (!(error instanceof SandboxError)) log.error({ err: error }, 'an SSH session failed')
  const message = error instanceof Error ? error.message : String(error)
  const end = wishes.tty === null ? '\n' : '\r\n'
  await writer.write('stderr', Buffer.from(`caisson: ${message}${end}`)).catch(() => {})
  if (gone.aborted) return
  if (SandboxError.is(error, 'command_not_found')) channel.exit(127)
  else channel.exit(SandboxError.is(error, 'cannot_start') ? 126 : 255)
}
