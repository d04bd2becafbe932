import type { WebSocket } from 'ws'
import type { UseCases } from '../../sandboxes/use-cases.ts'

/** Bytes waiting for the program before the socket is no longer read. */
const HIGH = 1024 * 1024

/**
 * Bytes on their way from a socket to a program's stdin, in order. While the program does not read, the socket is
 * paused, and with it the messages behind: a signal that must get through is sent by a request of its own. What was
 * received reaches the program even if the client leaves right after.
 */
export class StdinQueue {
  /** Rejects when stdin can not be written; never resolves. */
  readonly failed: Promise<never>
  readonly #useCases: UseCases
  readonly #execution: string
  readonly #socket: WebSocket
  readonly #fail: (error: unknown) => void
  #waiting: Uint8Array[] = []
  #bytes = 0
  #ended = false
  #writing = false

  constructor(useCases: UseCases, execution: string, socket: WebSocket) {
    const { promise, reject } = Promise.withResolvers<never>()
    this.failed = promise
    this.#fail = reject
    this.#useCases = useCases
    this.#execution = execution
    this.#socket = socket
  }

  push(bytes: Uint8Array): void {
    if (this.#ended) return
    this.#waiting.push(bytes)
    this.#bytes += bytes.length
    if (this.#bytes > HIGH) this.#socket.pause()
    void this.#write()
  }

  /** Closes stdin after what was pushed. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    void this.#write()
  }

  /** Each turn hands over all that has gathered; a turn that sees the end is the last. */
  async #write(): Promise<void> {
    if (this.#writing) return
    this.#writing = true
    try {
      for (let last = false; !last && (this.#waiting.length > 0 || this.#ended); ) {
        last = this.#ended
        const batch = this.#waiting.splice(0)
        await this.#useCases.writeStdin(this.#execution, batch, last)
        this.#bytes -= batch.reduce((sum, bytes) => sum + bytes.length, 0)
        if (this.#bytes <= HIGH) this.#socket.resume()
      }
      this.#writing = this.#ended
    } catch (error) {
      this.#ended = true
      this.#waiting = []
      this.#socket.resume()
      this.#fail(error)
    }
  }
}
