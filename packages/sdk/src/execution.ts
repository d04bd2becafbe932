import { SandboxError } from '@caisson/protocol/errors'
import type { Execution as ExecutionInfo } from '@caisson/protocol/resources'
import { StreamKind } from '@caisson/protocol/stream'
import type { CallOptions, Client } from './client.ts'
import { type Followed, type From, follow, type OpenStream, type OutputChunk } from './follow.ts'
import { collect, type OutputOptions } from './output.ts'
import { ExecResult, type ResourcesGranted } from './result.ts'
import { bytesOf, pumpStdin, type Source, writeStdin } from './stdin.ts'
import type { Channel } from './transport/transport.ts'

/** Terminal size in characters. */
export interface TerminalSize {
  cols: number
  rows: number
}

/** Which part of the output is read as text, and how. */
export interface LogOptions extends CallOptions {
  /** Default: both streams, in the order in which they came. */
  stream?: 'all' | 'stdout' | 'stderr' | undefined
  /** Go on until the execution ends; default false. */
  follow?: boolean | undefined
  /** First byte of the output; default 0. */
  offset?: number | undefined
  /** The last lines only. */
  tail?: number | undefined
  /** Lines that match this RE2 expression. */
  grep?: string | undefined
  /** Begin each line with the time at which it came, RFC 3339. */
  timestamps?: boolean | undefined
}

/** How a terminal is connected. */
export interface TerminalOptions {
  /** Begin so many bytes before the end of the output; default: at the handle's own place. */
  tail?: number | undefined
  signal?: AbortSignal | undefined
}

export type KillScope = 'leader' | 'group' | 'tree'

/**
 * A command that runs in a sandbox, or has run. It goes on whatever happens to this handle; its output is kept on
 * the server and can be read again from any offset. Iterating gives the output from the handle's offset.
 *
 * @example
 * ```ts
 * import { Sandbox } from 'caisson'
 *
 * await using sandbox = await Sandbox.create()
 * const execution = await sandbox.start(['sh', '-c', 'echo one; sleep 1; echo two'])
 * for await (const { stream, data } of execution) console.log(stream, data.length)
 * console.log((await execution.wait()).exitCode)
 * ```
 */
export class Execution implements AsyncIterable<OutputChunk> {
  /** The record as it was when this handle was made or last refreshed. */
  info: ExecutionInfo
  readonly #client: Client
  readonly #from: From
  readonly #resources: ResourcesGranted | null
  /** Of the terminal that was connected last. */
  #channel: Channel | undefined

  constructor(
    client: Client,
    info: ExecutionInfo,
    resources: ResourcesGranted | null,
    from: From = { offset: 0 },
  ) {
    this.#client = client
    this.info = info
    this.#resources = resources
    this.#from = from
  }

  get id(): string {
    return this.info.id
  }

  get sandboxId(): string {
    return this.info.sandboxId
  }

  /** Of the leader, as the sandbox sees it; null before it runs. */
  get pid(): number | null {
    return this.info.pid
  }

  /** The name that its starter gave it. */
  get tag(): string | null {
    return this.info.tag
  }

  /**
   * Output from the handle's offset to the end of the command; where `offset` jumps, the server does not keep what was
   * between. Leaving the loop does not end the command.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<OutputChunk, void, undefined> {
    for await (const batch of this.#follow())
      for (const item of batch) if (item.type === 'output') yield item.chunk
  }

  /**
   * Waits for the end and gives the result, with all output since the handle's offset even when some was read before.
   *
   * @throws SandboxError `aborted` when the signal fires; the command goes on
   */
  async wait(options: OutputOptions & { signal?: AbortSignal | undefined } = {}): Promise<ExecResult> {
    const { execution, output } = await collect(this.#follow(options.signal), options)
    this.info = execution
    return new ExecResult(execution, output, this.#resources)
  }

  /** Reads the record again. */
  async refresh(options: CallOptions = {}): Promise<ExecutionInfo> {
    this.info = await this.#client.call('getExecution', { execution: this.id }, options)
    return this.info
  }

  /**
   * Sends a signal, to the whole process tree unless told otherwise. A command that has ended is left alone.
   *
   * @param signal a name such as "SIGTERM"; default "SIGKILL"
   */
  async kill(signal = 'SIGKILL', scope: KillScope = 'tree', options: CallOptions = {}): Promise<void> {
    try {
      this.info = await this.#client.call('killExecution', { execution: this.id, signal, scope }, options)
    } catch (error) {
      if (!SandboxError.is(error, 'execution_ended')) throw error
    }
  }

  /** Writes to stdin; the command must have been started with `stdin: true` or a terminal. */
  readonly stdin = {
    /** Resolves when the program, or the terminal's connection, has taken the bytes. */
    write: async (data: string | Uint8Array, options: CallOptions = {}): Promise<void> => {
      for await (const bytes of bytesOf(data)) {
        if (this.#channel) await this.#channel.send(message(StreamKind.STDIN, bytes))
        else await writeStdin(this.#client, this.id, bytes, false, options.signal)
      }
    },
    /** Ends stdin: the program reads end of file. */
    end: async (options: CallOptions = {}): Promise<void> => {
      if (this.#channel) await this.#channel.send(message(StreamKind.STDIN_CLOSE))
      else await writeStdin(this.#client, this.id, new Uint8Array(), true, options.signal)
    },
    /** Sends a whole source in constant memory, then ends stdin. */
    pipe: (source: Source, options: CallOptions = {}): Promise<void> =>
      pumpStdin(this.#client, this.id, source, options.signal),
  }

  /**
   * Connects a terminal: the output is then read through the same WebSocket that carries stdin and sizes, which is
   * what a person at a keyboard wants. A broken connection is made again. Several may be connected at once: each gets
   * all output, and what any of them types reaches the program.
   *
   * @example
   * ```ts
   * import { Sandbox } from 'caisson'
   *
   * await using sandbox = await Sandbox.create()
   * const shell = await sandbox.start(['sh'], { tty: { cols: 80, rows: 24 } })
   * const done = (async () => {
   *   for await (const { data } of shell.terminal()) process.stdout.write(data)
   * })()
   * await shell.stdin.write('echo hello; exit\n')
   * await done
   * ```
   */
  async *terminal(options: TerminalOptions = {}): AsyncGenerator<OutputChunk, void, undefined> {
    const { signal, tail } = options
    const from: From = tail === undefined ? this.#from : { tail }
    let mine: Channel | undefined
    const open: OpenStream = async (_, place) => {
      const { channel, records } = await this.#client.socket(this.id, place, signal)
      mine = channel
      this.#channel = channel
      return records
    }
    const stop = () => mine?.close()
    signal?.addEventListener('abort', stop)
    try {
      for await (const batch of follow(open, { execution: this.id, ...from }, signal)) {
        for (const item of batch) {
          if (item.type === 'output') yield item.chunk
          else if (item.type !== 'gap') this.info = item.execution
        }
      }
    } finally {
      signal?.removeEventListener('abort', stop)
      stop()
      if (this.#channel === mine) this.#channel = undefined
    }
  }

  /**
   * Tells the terminal its size; the last that was told, by whichever viewer, holds.
   *
   * @throws SandboxError `not_supported` without a terminal, `execution_ended`
   */
  async resize(size: TerminalSize, options: CallOptions = {}): Promise<void> {
    if (this.#channel)
      await this.#channel.send(message(StreamKind.RESIZE, new TextEncoder().encode(JSON.stringify(size))))
    else await this.#client.call('resizeExecution', { execution: this.id, ...size }, options)
  }

  /**
   * Output as text: one stream or both, the last lines, lines that match, with their times; in pieces of whole
   * characters. A connection that breaks ends it with `connection_lost`, where iterating the execution goes on.
   *
   * @example
   * ```ts
   * import { Sandbox } from 'caisson'
   *
   * await using sandbox = await Sandbox.create()
   * const { execution } = await sandbox.sh('for i in 1 2 3; do echo line $i; done; echo broken >&2')
   * const again = await sandbox.attach(execution.id)
   * for await (const text of again.logs({ stream: 'stdout', tail: 2 })) process.stdout.write(text)
   * ```
   */
  async *logs(options: LogOptions = {}): AsyncGenerator<string, void, undefined> {
    const { signal, ...query } = options
    const response = await this.#client.open('readLogs', { execution: this.id, ...query }, { signal })
    const decoder = new TextDecoder()
    for await (const bytes of response.body) {
      const text = decoder.decode(bytes, { stream: true })
      if (text) yield text
    }
    const rest = decoder.decode()
    if (rest) yield rest
  }

  #follow(signal?: AbortSignal): AsyncGenerator<Followed[], void, undefined> {
    return follow(attachStream(this.#client, this.id, signal), { execution: this.id, ...this.#from }, signal)
  }
}

/** Opens the output of a known execution. */
export const attachStream =
  (client: Client, execution: string, signal?: AbortSignal): OpenStream =>
  (_, from) =>
    client.stream('attachExecution', { execution, ...from }, { signal })

function message(kind: number, payload: Uint8Array = new Uint8Array()): Uint8Array {
  const bytes = new Uint8Array(1 + payload.length)
  bytes[0] = kind
  bytes.set(payload, 1)
  return bytes
}
