import {
  encodeAck,
  encodeBulkHead,
  encodeFrame,
  type FieldBuilder,
  fields,
} from '@caisson/protocol/frame-codec'
import { Field, type Frame, FrameType } from '@caisson/protocol/frames'
import type { Errno } from './errno.ts'
import type { Wire } from './execution.ts'

/** A request that goes on over several frames. */
export interface Transfer {
  /** @returns false when the frame does not belong. @throws Errno when the request fails by it */
  receive(frame: Frame): boolean
  /** It is over, was given up, or the connection is gone. */
  close?(): void
}

/** The stream of one request, from the agent's side. */
export class Stream {
  readonly #wire: Wire
  readonly #id: number
  readonly #onOver: () => void
  #over = false

  constructor(wire: Wire, id: number, onOver: () => void) {
    this.#wire = wire
    this.#id = id
    this.#onOver = onOver
  }

  /** Nothing more is sent on it. */
  get over(): boolean {
    return this.#over
  }

  send(type: FrameType, answer: FieldBuilder = fields()): void {
    if (!this.#over) this.#wire.send(encodeFrame(type, this.#id, answer.encode()))
  }

  data(offset: number, bytes: Uint8Array): void {
    if (!this.#over) this.#wire.send(encodeBulkHead(FrameType.DATA, this.#id, offset, bytes.length), bytes)
  }

  acknowledge(offset: number): void {
    if (!this.#over) this.#wire.send(encodeAck(this.#id, offset))
  }

  /** The last frame. */
  end(type: FrameType, answer?: FieldBuilder): void {
    this.send(type, answer)
    this.close()
  }

  fail(error: Errno, details: FieldBuilder = fields()): void {
    this.end(FrameType.ERROR, details.u64(Field.ERRNO, error.errno).string(Field.MESSAGE, error.message))
  }

  close(): void {
    if (this.#over) return
    this.#over = true
    this.#onOver()
  }
}
