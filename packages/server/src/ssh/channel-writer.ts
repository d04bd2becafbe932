import type { ServerChannel } from 'ssh2'
import type { SshConnection } from './connection.ts'
import { forgetWritten, isOpen } from './ssh2-internals.ts'

/** Between two pieces of this size is looked at how much the client has not taken yet. */
const PIECE = 64 * 1024

/** Writes to a channel one piece after the other, each when the client has taken enough of those before it. */
export class ChannelWriter {
  readonly #channel: ServerChannel
  readonly #connection: SshConnection
  readonly #gone: AbortSignal

  /** @param gone aborts when the client has closed the channel or its connection. */
  constructor(channel: ServerChannel, connection: SshConnection, gone: AbortSignal) {
    this.#channel = channel
    this.#connection = connection
    this.#gone = gone
  }

  /** Resolves when `data` may be used again. @throws when the channel is closed */
  async write(stream: 'stdout' | 'stderr', data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; at += PIECE) {
      await this.#connection.room()
      await this.#send(stream, data.subarray(at, at + PIECE))
    }
  }

  /** ssh2 does not call back for what it was given too late. */
  async #send(stream: 'stdout' | 'stderr', piece: Uint8Array): Promise<void> {
    this.#gone.throwIfAborted()
    if (!isOpen(this.#channel)) throw new Error('the client has closed the channel')
    forgetWritten(this.#channel)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onGone = () => reject(this.#gone.reason)
    this.#gone.addEventListener('abort', onGone)
    const target = stream === 'stdout' ? this.#channel : this.#channel.stderr
    target.write(piece, (error) => (error ? reject(error) : resolve()))
    try {
      await promise
    } finally {
      this.#gone.removeEventListener('abort', onGone)
    }
  }
}
