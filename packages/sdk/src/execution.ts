import { SandboxError } from '@caisson/protocol/errors'
import type { Execution as ExecutionInfo } from '@caisson/protocol/resources'
import { StreamKind } from '@caisson/protocol/stream'
import type { CallOptions, Client } from './client.ts'
import { Collector } from './collect.ts'
import { type Followed, follow, type OpenStream, type OutputChunk } from './follow.ts'
import { ExecResult, type ResourcesGranted } from './result.ts'
import { bytesOf, pumpStdin, type Source, writeStdin } from './stdin.ts'
import type { Channel } from './transport/transport.ts'

/** Where output goes while it comes. A callback that returns a promise slows the program until it settles. */
export interface OutputOptions {
  /** Text of stdout; characters that are split between pieces are joined. */
  onStdout?: ((text: string) => void | Promise<void>) | undefined
  onStderr?: ((text: string) => void | Promise<void>) | undefined
  /** Every piece of both streams, as bytes, in the order in which they came. */
  onOutput?: ((chunk: OutputChunk) => void | Promise<void>) | undefined
  /**
   * Bytes of output that the result keeps in memory; default 64 MiB. What comes later still reaches the callbacks,
   * stays readable on the server, and is told by `outputTruncated`; the command is not ended.
   */
  maxBuffer?: number | undefined
}

const MAX_BUFFER = 64 * 1_048_576

/** Terminal size in characters. */
export interface TerminalSize {
  cols: number
  rows: number
}

export type KillScope = 'leader' | 'group' | 'tree'

/** Reads a followed execution to its end. */
export async function collect(
  followed: AsyncIterable<Followed[]>,
  options: OutputOptions,
  onStarted?: (execution: ExecutionInfo) => void,
): Promise<{ execution: ExecutionInfo; output: Collector }> {
  const output = new Collector(options.maxBuffer ?? MAX_BUFFER)
  const stdout = textSink(options.onStdout)
  const stderr = textSink(options.onStderr)
  let execution: ExecutionInfo | undefined
  for await (const batch of followed) {
    for (const item of batch) {
      if (item.type === 'output') {
        output.add(item.chunk)
        await options.onOutput?.(item.chunk)
        await (item.chunk.stream === 'stdout' ? stdout : stderr)?.(item.chunk.data)
      } else {
        execution = item.execution
        if (item.type === 'started') onStarted?.(item.execution)
      }
    }
  }
  await stdout?.()
  await stderr?.()
  return { execution: execution!, output }
}

/** Decodes pieces of one stream; called without bytes at the end. */
function textSink(write: OutputOptions['onStdout']): ((data?: Uint8Array) => Promise<void>) | undefined {
  if (!write) return undefined
  const decoder = new TextDecoder()
  return async (data) => {
    const text = data ? decoder.decode(data, { stream: true }) : decoder.decode()
    if (text) await write(text)
  }
}

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
  readonly #offset: number
  readonly #resources: ResourcesGranted | null
  #channel: Channel | undefined

  constructor(client: Client, info: ExecutionInfo, resources: ResourcesGranted | null, offset = 0) {
    this.#client = client
    this.info = info
    this.#resources = resources
    this.#offset = offset
  }

  get id(): string {
    return this.info.id
  }

  get sandboxId(): string {
    return this.info.sandboxId
  }

  /** Output from the handle's offset to the end of the command. Leaving the loop does not end the command. */
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
   * what a person at a keyboard wants. A broken connection is made again.
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
  async *terminal(signal?: AbortSignal): AsyncGenerator<OutputChunk, void, undefined> {
    const open: OpenStream = async (_, offset) => {
      const { channel, records } = await this.#client.socket(this.id, offset, signal)
      this.#channel = channel
      return records
    }
    const stop = () => this.#channel?.close()
    signal?.addEventListener('abort', stop)
    try {
      for await (const batch of follow(open, { execution: this.id, offset: this.#offset }, signal)) {
        for (const item of batch) {
          if (item.type === 'output') yield item.chunk
          else this.info = item.execution
        }
      }
    } finally {
      signal?.removeEventListener('abort', stop)
      stop()
      this.#channel = undefined
    }
  }

  /**
   * Tells the terminal its size.
   *
   * @throws SandboxError `not_supported` unless `terminal()` is being read
   */
  async resize(size: TerminalSize): Promise<void> {
    if (!this.#channel) {
      const reason = 'no terminal is connected; read execution.terminal() first'
      throw new SandboxError('not_supported', { what: 'Resizing', reason })
    }
    await this.#channel.send(message(StreamKind.RESIZE, new TextEncoder().encode(JSON.stringify(size))))
  }

  #follow(signal?: AbortSignal): AsyncGenerator<Followed[], void, undefined> {
    return follow(
      attachStream(this.#client, this.id, signal),
      { execution: this.id, offset: this.#offset },
      signal,
    )
  }
}

/** Opens the output of a known execution. */
export const attachStream =
  (client: Client, execution: string, signal?: AbortSignal): OpenStream =>
  (_, offset) =>
    client.stream('attachExecution', { execution, offset }, { signal })

function message(kind: number, payload: Uint8Array = new Uint8Array()): Uint8Array {
  const bytes = new Uint8Array(1 + payload.length)
  bytes[0] = kind
  bytes.set(payload, 1)
  return bytes
}
