import { SandboxError } from '@caisson/protocol/errors'
import type { StartExecution } from '@caisson/protocol/resources'
import type { Client } from './client.ts'
import { attachStream, Execution, type TerminalSize } from './execution.ts'
import { type Followed, follow, type OpenStream } from './follow.ts'
import { collect, type OutputOptions } from './output.ts'
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
  /** Which end of the output is kept at the limit. Default: "head"; for jobs and terminals "tail". */
  outputKeep?: 'head' | 'tail' | undefined
  /** A name to find it by, for `attach()` and `executions()`; need not be unique. */
  tag?: string | undefined
  /** Gives the program a terminal of this size; stdout and stderr are then one stream. */
  tty?: TerminalSize | undefined
}

/** How a command is run to its end. */
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
  const { cwd, env, user, timeout, outputLimit, outputKeep, tag, tty } = options
  return {
    argv: typeof command === 'string' ? ['/bin/sh', '-c', command] : [...command],
    ...(cwd !== undefined && { cwd }),
    ...(env !== undefined && { env }),
    ...(user !== undefined && { user }),
    ...(timeout !== undefined && { timeout }),
    ...(outputLimit !== undefined && { outputLimit }),
    ...(outputKeep !== undefined && { outputKeep }),
    ...(tag !== undefined && { tag }),
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

/** How a command gets its sandbox. */
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
  const open: OpenStream = (execution, from) =>
    execution === undefined
      ? launch.first(body, life.signal)
      : attachStream(client, execution, life.signal)(execution, from)
  const followed = life.watch(follow(open, { offset: 0, repeatable: launch.repeatable }, life.signal))
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
    collected.catch(() => {})
    await life.end()
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
  /** The id once it is known; undefined when the stream failed, for then there is nothing for us to end. */
  readonly #execution = deferred<string | undefined>()
  readonly #failure = deferred<never>()
  #failed = false

  constructor(client: Client, leavingEnds: boolean) {
    this.#client = client
    this.#leavingEnds = leavingEnds
    this.failure.catch(() => {})
  }

  get signal(): AbortSignal {
    return this.#stream.signal
  }

  get feeding(): AbortSignal {
    return this.#feed.signal
  }

  /** Rejects when the command is abandoned. */
  get failure(): Promise<never> {
    return this.#failure.promise
  }

  /** Passes the stream on and remembers its failure: a command whose connection was lost goes on. */
  async *watch(followed: AsyncIterable<Followed[]>): AsyncGenerator<Followed[], void, undefined> {
    let over = false
    try {
      for await (const batch of followed) yield batch
      over = true
    } catch (error) {
      over = true
      this.#failed = true
      throw error
    } finally {
      if (over) this.#execution.resolve(undefined)
    }
  }

  started(id: string): void {
    this.#execution.resolve(id)
  }

  feed(pump: Promise<void>): void {
    pump.catch((error) => {
      if (!this.#feed.signal.aborted) this.stop(error)
    })
  }

  stop(error: unknown): void {
    this.#failure.reject(error)
  }

  /**
   * Ends a command that was aborted, or that a failed callback or input left alone, in bounded time. The answer to
   * the start may still be on its way; the id in it is needed.
   */
  async end(): Promise<void> {
    if (!this.#leavingEnds && !this.#failed) {
      const late = new AbortController()
      const timer = setTimeout(() => late.abort(), ABORT_DEADLINE)
      const deadline = new Promise<void>((resolve) => late.signal.addEventListener('abort', () => resolve()))
      await Promise.race([this.#kill(late.signal), deadline]).catch(() => {})
      clearTimeout(timer)
    }
    this.#stream.abort()
  }

  async #kill(signal: AbortSignal): Promise<void> {
    const execution = await this.#execution.promise
    if (execution === undefined) return
    await this.#client.call('killExecution', { execution, signal: 'SIGKILL', scope: 'tree' }, { signal })
  }

  close(): void {
    this.#feed.abort()
  }
}

/** `Promise.withResolvers`, which Node 20 does not have. */
function deferred<T>(): {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (error: unknown) => void
} {
  let resolve: (value: T) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
