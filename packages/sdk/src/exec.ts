import { SandboxError } from '@caisson/protocol/errors'
import type { StartExecution } from '@caisson/protocol/resources'
import type { Client } from './client.ts'
import { attachStream, collect, Execution, type OutputOptions, type TerminalSize } from './execution.ts'
import { type Followed, follow, type OpenStream } from './follow.ts'
import { ExecResult, type ResourcesGranted } from './result.ts'
import { inlineInput, pumpStdin, type Source } from './stdin.ts'

/** A program with its arguments; or one text, which is a script for `/bin/sh`. */
export type Command = string | readonly string[]

/** How a command is started. */
export interface StartOptions {
  /** Working directory; default: the user's home. */
  cwd?: string | undefined
  /** Added to the sandbox's own environment. */
  env?: Record<string, string> | undefined
  /** Name or uid; default "agent". */
  user?: string | undefined
  /** Terminated after so long: milliseconds, or text such as "30s". Default: never. */
  timeout?: string | number | undefined
  /** Bytes of output that the server keeps; the rest is dropped. */
  outputLimit?: number | undefined
  /** Gives the program a terminal of this size; stdout and stderr are then one stream. */
  tty?: TerminalSize | undefined
}

export interface ExecOptions extends StartOptions, OutputOptions {
  /** Called once, with a handle, as soon as the command runs. */
  onStarted?: ((execution: Execution) => void) | undefined
  /** Sent to stdin, which is then closed; streamed in constant memory when it is large. Default: stdin is empty. */
  stdin?: Source | undefined
  /** Keeps stdin open for `execution.stdin` of the handle that `onStarted` gives; in place of `stdin`. */
  openStdin?: boolean | undefined
  /** Aborting ends the command with its whole process tree, and rejects with `aborted`. */
  signal?: AbortSignal | undefined
}

/** Milliseconds that ending an aborted command may take before the caller is told all the same. */
const ABORT_DEADLINE = 5000

/** What a server is told of a command. */
export function startBody(command: Command, options: StartOptions): StartExecution {
  const { cwd, env, user, timeout, outputLimit, tty } = options
  return {
    argv: typeof command === 'string' ? ['/bin/sh', '-c', command] : [...command],
    ...(cwd !== undefined && { cwd }),
    ...(env !== undefined && { env }),
    ...(user !== undefined && { user }),
    ...(timeout !== undefined && { timeout }),
    ...(outputLimit !== undefined && { outputLimit }),
    ...(tty !== undefined && { tty }),
  }
}

/** The same with stdin: inside the request when it is small, kept open for a pump when it is not. */
export function execBody(command: Command, options: ExecOptions): { body: StartExecution; pump?: Source } {
  const body = startBody(command, options)
  if (options.openStdin) return { body: { ...body, stdin: true } }
  if (options.stdin === undefined) return { body }
  const inline = inlineInput(options.stdin)
  return inline ? { body: { ...body, ...inline } } : { body: { ...body, stdin: true }, pump: options.stdin }
}

export interface Launch {
  /** Opens the stream that starts the command. */
  first: (body: StartExecution, signal: AbortSignal) => ReturnType<OpenStream>
  /** Whether opening it again returns the same execution. */
  repeatable: boolean
  /** Whether closing the stream ends the command; if not, it is killed by id. */
  leavingEnds: boolean
  /** Limits of the sandbox that runs it. */
  resources: (sandbox: string) => ResourcesGranted | null | Promise<ResourcesGranted | null>
}

/** Starts a command, feeds it, and follows it to its end. */
export async function execute(
  client: Client,
  launch: Launch,
  command: Command,
  options: ExecOptions,
): Promise<ExecResult> {
  const what = 'The command'
  if (options.signal?.aborted) throw aborted(what, options.signal)
  const { body, pump } = execBody(command, options)
  const life = new Life(client, launch.leavingEnds)
  let resources: ReturnType<Launch['resources']> = null
  const open: OpenStream = (execution, offset) =>
    execution === undefined
      ? launch.first(body, life.signal)
      : attachStream(client, execution, life.signal)(execution, offset)
  const followed: AsyncIterable<Followed[]> = follow(
    open,
    { offset: 0, repeatable: launch.repeatable },
    life.signal,
  )
  const collected = collect(followed, options, (execution) => {
    life.started(execution.id)
    resources = launch.resources(execution.sandboxId)
    if (pump !== undefined) life.feed(pumpStdin(client, execution.id, pump, life.feeding))
    options.onStarted?.(new Execution(client, execution, null))
  })
  const stop = () => life.stop(aborted(what, options.signal))
  options.signal?.addEventListener('abort', stop, { once: true })
  try {
    const { execution, output } = await Promise.race([collected, life.failure])
    return new ExecResult(execution, output, await resources)
  } catch (error) {
    // A callback that threw leaves a command that nobody follows.
    await life.end()
    collected.catch(() => {})
    throw error
  } finally {
    options.signal?.removeEventListener('abort', stop)
    life.close()
  }
}

const aborted = (what: string, signal: AbortSignal | undefined) =>
  new SandboxError('aborted', { what }, { cause: signal?.reason })

/** The life of one followed command: who may end it, and what is to be stopped with it. */
class Life {
  readonly #client: Client
  readonly #leavingEnds: boolean
  readonly #stream = new AbortController()
  readonly #feed = new AbortController()
  #execution: string | undefined
  #known: (id: string) => void = () => {}
  readonly #id: Promise<string>
  #fail: (error: unknown) => void = () => {}
  /** Rejects when the command is abandoned. */
  readonly failure: Promise<never>

  constructor(client: Client, leavingEnds: boolean) {
    this.#client = client
    this.#leavingEnds = leavingEnds
    this.#id = new Promise((resolve) => {
      this.#known = resolve
    })
    this.failure = new Promise((_, reject) => {
      this.#fail = reject
    })
    this.failure.catch(() => {})
  }

  get signal(): AbortSignal {
    return this.#stream.signal
  }

  get feeding(): AbortSignal {
    return this.#feed.signal
  }

  started(id: string): void {
    this.#execution = id
    this.#known(id)
  }

  feed(pump: Promise<void>): void {
    pump.catch((error) => {
      if (!this.#feed.signal.aborted) this.stop(error)
    })
  }

  stop(error: unknown): void {
    this.#fail(error)
  }

  /** Ends the command, in bounded time. An answer to the start may still be on its way; its id is needed. */
  async end(): Promise<void> {
    if (this.#leavingEnds) return this.#stream.abort()
    const deadline = AbortSignal.timeout(ABORT_DEADLINE)
    const kill = async () => {
      const execution = this.#execution ?? (await this.#id)
      await this.#client.call(
        'killExecution',
        { execution, signal: 'SIGKILL', scope: 'tree' },
        { signal: deadline },
      )
    }
    const late = new Promise<void>((resolve) => deadline.addEventListener('abort', () => resolve()))
    await Promise.race([kill(), late]).catch(() => {})
    this.#stream.abort()
  }

  close(): void {
    this.#feed.abort()
  }
}
