import { SandboxError } from '@caisson/protocol/errors'
import type { FileChange } from '@caisson/protocol/resources'
import { quietLimit } from './follow.ts'
import { linesOf } from './lines.ts'
import { errorFromWire } from './wire-error.ts'

/**
 * Changes below a directory, from the moment in which `files.watch()` has answered. Iterating ends when the directory
 * is removed or `close()` is called, and leaving the loop closes. A reader that is too slow is told `overflow`.
 */
export class FileWatch implements AsyncIterable<FileChange>, AsyncDisposable {
  readonly #changes: AsyncGenerator<FileChange, void, undefined>
  readonly #stop: AbortController

  constructor(messages: AsyncIterable<Message>, stop: AbortController) {
    this.#changes = changes(messages, stop)
    this.#stop = stop
  }

  /** Stops watching; the loop that reads ends. */
  close(): void {
    this.#stop.abort()
  }

  [Symbol.asyncIterator](): AsyncGenerator<FileChange, void, undefined> {
    return this.#changes
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }
}

/**
 * Watches, and resolves when the server says that it does.
 *
 * @param open sends the request, which ends with its signal
 */
export async function openWatch(
  open: (signal: AbortSignal) => Promise<AsyncIterable<Uint8Array>>,
  signal: AbortSignal | undefined,
): Promise<FileWatch> {
  const stop = new AbortController()
  const either = signal ? AbortSignal.any([stop.signal, signal]) : stop.signal
  const messages = read(await open(either), stop.signal)
  const first = await messages.next()
  if (!first.done && first.value.type === 'ready') return new FileWatch(messages, stop)
  stop.abort()
  throw new SandboxError('connection_lost', { what: 'watching: the server did not begin' })
}

type Message = FileChange | { type: 'ready' | 'ping' } | { type: 'error'; error: unknown }

/** Pings are read as well: a server that is quiet for three of them is gone. */
async function* read(
  body: AsyncIterable<Uint8Array>,
  closed: AbortSignal,
): AsyncGenerator<Message, void, undefined> {
  try {
    for await (const line of quietLimit(linesOf(body), 'watching')) {
      const message = parse(line)
      if (message.type === 'error') throw errorFromWire(message)
      yield message
    }
  } catch (error) {
    if (!closed.aborted) throw error
  }
}

async function* changes(
  messages: AsyncIterable<Message>,
  stop: AbortController,
): AsyncGenerator<FileChange, void, undefined> {
  try {
    for await (const message of messages) {
      if (stop.signal.aborted) return
      if ('path' in message) yield message
    }
  } finally {
    stop.abort()
  }
}

function parse(line: string): Message {
  try {
    return JSON.parse(line) as Message
  } catch (cause) {
    throw new SandboxError('connection_lost', { what: 'watching: a line is not JSON' }, { cause })
  }
}
