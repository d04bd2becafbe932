import { SandboxError } from '@caisson/protocol/errors'
import { parseFields } from '@caisson/protocol/frame-codec'
import { type Frame, FrameType } from '@caisson/protocol/frames'
import type { Attributed, FileStat } from './guest.ts'
import { Request } from './request.ts'
import { readDescription, readName } from './stat.ts'

export type Entry = FileStat & Attributed & { name: string }

/** A listing is held in memory, so it is bounded: entries, and bytes of them on the wire. */
const MAX_ENTRIES = 100_000
const MAX_BYTES = 32 * 1024 * 1024

/** Collects the entries of a directory. */
export class ListRequest extends Request<Entry[]> {
  readonly #entries: Entry[] = []
  #bytes = 0

  protected override take(frame: Frame): void {
    if (frame.type === FrameType.ENTRY) this.#add(frame.payload)
    else if (frame.type === FrameType.END) this.#onEnd()
    else this.unexpected(frame)
  }

  #onEnd(): void {
    this.finish()
    this.answer(this.#entries)
  }

  #add(payload: Uint8Array): void {
    const entry = parseFields(payload)
    this.#bytes += payload.length
    this.#entries.push({ name: readName(entry), ...readDescription(entry) })
    if (this.#entries.length <= MAX_ENTRIES && this.#bytes <= MAX_BYTES) return
    const reason = `it has more than the ${MAX_ENTRIES} entries that can be listed at once`
    this.cancel(new SandboxError('file_failed', { path: this.context.path, reason }))
  }
}
