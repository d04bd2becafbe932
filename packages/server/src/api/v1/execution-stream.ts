import type { ServerResponse } from 'node:http'
import type { Output } from '../../sandboxes/use-cases.ts'
import { toSandboxError } from '../errors.ts'
import type { RecordEncoder } from './records.ts'

/** Milliseconds that the first records wait for company: a short command then leaves in one write. */
const FIRST_WINDOW = 2
/** Gathered bytes that are written without waiting for more. */
const WRITE_AT = 32 * 1024
/** Bytes under way to a slow reader before the source has to wait, and how far they must fall before it goes on. */
const HIGH = 512 * 1024
const LOW = 128 * 1024
/** Chunks up to this size are copied. */
const COPY_UP_TO = 16 * 1024
/** Milliseconds of silence after which proxies are told that the stream lives. */
const PING_AFTER = 15_000

export interface StreamOptions {
  encoder: RecordEncoder
  headers: Record<string, string>
  /** Told the bytes of output as they are passed on. */
  sent(bytes: number): void
  /** Names the request in an error. */
  request: string
}

/**
 * Answers with an execution's output until it ends; resolves when all is written or the reader has gone. A failure
 * on the way becomes the stream's last record, since the status has been sent.
 */
export async function sendExecution(
  response: ServerResponse,
  output: Output,
  options: StreamOptions,
  signal: AbortSignal,
): Promise<void> {
  const { encoder } = options
  response.writeHead(200, {
    ...options.headers,
    'content-type': encoder.contentType,
    'x-accel-buffering': 'no',
  })
  const writer = new CorkedWriter(response, () => encoder.ping())
  try {
    writer.write(encoder.started(output.execution, output.offset))
    let expected = output.offset
    for await (const chunk of output.chunks) {
      if (signal.aborted) return
      if (chunk.offset > expected) writer.write(encoder.gap(chunk.offset))
      expected = chunk.offset + chunk.data.length
      options.sent(chunk.data.length)
      // The source uses the chunk's memory again: little is copied, so that it can wait for company; more is sent first.
      if (chunk.data.length <= COPY_UP_TO) {
        writer.write(encoder.output({ ...chunk, data: Buffer.from(chunk.data) }))
        if (writer.full) await writer.room(LOW)
      } else {
        writer.write(encoder.output(chunk))
        await writer.room(0)
      }
    }
    writer.write(encoder.ended(await output.result()))
  } catch (error) {
    if (!signal.aborted) writer.write(encoder.error(toSandboxError(error, options.request).toJSON()))
  } finally {
    writer.end()
  }
}

/** Gathers records into few writes and knows how much the reader has not taken yet. */
class CorkedWriter {
  readonly #response: ServerResponse
  readonly #ping: NodeJS.Timeout
  readonly #first: NodeJS.Timeout
  #corked = true
  #gathered = 0
  #underWay = 0
  #wakeAt = 0
  #wake: (() => void) | null = null

  constructor(response: ServerResponse, ping: () => Uint8Array[]) {
    this.#response = response
    response.cork()
    this.#first = setTimeout(() => this.#flush(), FIRST_WINDOW)
    this.#ping = setInterval(() => this.write(ping()), PING_AFTER).unref()
    response.once('close', () => this.#stop())
  }

  get full(): boolean {
    return this.#underWay > HIGH && !this.#response.destroyed
  }

  write(pieces: Uint8Array[]): void {
    if (this.#response.destroyed) return
    if (!this.#corked) {
      this.#corked = true
      this.#response.cork()
      setImmediate(() => this.#flush())
    }
    for (const piece of pieces) {
      this.#gathered += piece.length
      this.#underWay += piece.length
      this.#response.write(piece, () => this.#taken(piece.length))
    }
    if (this.#gathered >= WRITE_AT) this.#flush()
    this.#ping.refresh()
  }

  /** Resolves when no more than `bytes` are under way, or the reader has gone. */
  async room(bytes: number): Promise<void> {
    if (this.#underWay <= bytes || this.#response.destroyed) return
    await new Promise<void>((resolve) => {
      this.#wakeAt = bytes
      this.#wake = resolve
    })
  }

  end(): void {
    this.#stop()
    if (this.#response.destroyed) return
    // A corked response would send its final chunk before what it has gathered; a corked socket keeps the order, and
    // lets go of all in one write at the end.
    this.#response.socket?.cork()
    this.#flush()
    this.#response.end()
  }

  #flush(): void {
    if (!this.#corked) return
    this.#corked = false
    this.#gathered = 0
    // The response lets go of its socket before it writes, piece by piece, what it has gathered.
    const { socket } = this.#response
    socket?.cork()
    this.#response.uncork()
    socket?.uncork()
  }

  #taken(bytes: number): void {
    this.#underWay -= bytes
    if (this.#underWay <= this.#wakeAt) this.#release()
  }

  #release(): void {
    this.#wake?.()
    this.#wake = null
  }

  #stop(): void {
    clearTimeout(this.#first)
    clearInterval(this.#ping)
    this.#release()
  }
}
