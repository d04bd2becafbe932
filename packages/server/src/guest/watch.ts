import { type Fields, FrameError, parseFields } from '@caisson/protocol/frame-codec'
import { Change, Field, type Frame, FrameType, LIMITS } from '@caisson/protocol/frames'
import type { GuestFileChange } from './guest.ts'
import { Handover } from './handover.ts'
import { RESERVED_SLOTS, Request } from './request.ts'
import { readPath, readType } from './stat.ts'

/** Events that wait to be taken, and bytes of them on the wire; what is beyond is told as an overflow. */
const MAX_WAITING = 4096
const MAX_BYTES = 1024 * 1024

const CHANGES: ReadonlyMap<number, Change> = new Map(
  Object.entries(Change).map(([name, number]) => [number, name as Change]),
)
const OVERFLOW: GuestFileChange = { type: 'overflow', path: '', target: null, fileType: null }

/**
 * Follows a directory: `begin` answers once it is watched, and its signal ends the watching at any time. The agent does
 * not wait for anybody, so neither can events: whoever is too slow is told that some are missing.
 */
export class WatchRequest
  extends Request<AsyncIterable<GuestFileChange>>
  implements AsyncIterableIterator<GuestFileChange>
{
  #events: { event: GuestFileChange; size: number }[] = []
  readonly #handover = new Handover<GuestFileChange>()
  #bytes = 0
  #answered = false

  async next(): Promise<IteratorResult<GuestFileChange>> {
    const next = this.#events.shift()
    if (next === undefined) return this.#handover.next()
    this.#bytes -= next.size
    return { done: false, value: next.event }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async return(): Promise<IteratorResult<GuestFileChange>> {
    this.#events = []
    this.#handover.end()
    this.cancel(new Error('The watcher has left'))
    this.#handover.end()
    return { done: true, value: undefined }
  }

  protected override get limit(): number {
    return LIMITS.MAX_REQUESTS - RESERVED_SLOTS
  }

  protected override take(frame: Frame): void {
    if (frame.type === FrameType.OK && !this.#answered) {
      this.#answered = true
      this.answerAndGoOn(this)
    } else if (frame.type === FrameType.EVENT && this.#answered) this.#onEvent(frame.payload)
    else if (frame.type === FrameType.END && this.#answered) this.#onEnd()
    else this.unexpected(frame)
  }

  protected override failed(error: Error): void {
    if (!this.#answered) super.failed(error)
    this.#handover.fail(error)
  }

  #onEvent(payload: Uint8Array): void {
    const event = readEvent(parseFields(payload))
    if (this.#handover.awaited) {
      this.#handover.give(event)
      return
    }
    const size = payload.length
    if (this.#events.length < MAX_WAITING && this.#bytes + size <= MAX_BYTES) {
      this.#bytes += size
      this.#events.push({ event, size })
    } else if (this.#events.at(-1)?.event.type !== 'overflow') this.#events.push({ event: OVERFLOW, size: 0 })
  }

  #onEnd(): void {
    this.finish()
    this.#handover.end()
  }
}

/** @throws FrameError unless it is a change with exactly the names that belong to it. */
function readEvent(event: Fields): GuestFileChange {
  const type = CHANGES.get(event.u64(Field.CHANGE) ?? 0)
  if (type === undefined) throw new FrameError('An event tells no known change')
  if (type === 'overflow') return OVERFLOW
  const hasTarget = event.bytes(Field.TARGET) !== undefined
  if (hasTarget !== (type === 'rename')) throw new FrameError('Only a rename has a new name')
  const isRoot = event.bytes(Field.NAME)?.length === 0
  return {
    type,
    path: isRoot ? '' : readPath(event),
    target: hasTarget ? readPath(event, Field.TARGET) : null,
    fileType: readType(event),
    ...(type === 'create' && event.u64(Field.CONTENT) === 1 && { content: true as const }),
  }
}
