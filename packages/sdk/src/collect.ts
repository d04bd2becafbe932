import type { OutputChunk } from './follow.ts'

/** Memory that one change between stdout and stderr costs, counted so that a hostile program cannot hide in it. */
const SEGMENT_COST = 8
const FIRST_BLOCK = 4096
const LARGEST_BLOCK = 1_048_576

/**
 * Output kept in memory, up to a limit. The bytes of both streams lie in the order in which they came, in blocks, and
 * a list of lengths says which belong to which; so output in tiny pieces costs no more than the same in large ones.
 */
export class Collector {
  readonly #limit: number
  readonly #blocks: Uint8Array[] = []
  /** Bytes used of the last block. */
  #used = 0
  #cost = 0
  /** Lengths of stdout, stderr, stdout, stderr … in turn. */
  readonly #segments: number[] = [0]
  #full = false
  #gaps = false

  constructor(limit: number) {
    this.#limit = limit
  }

  add({ stream, data }: OutputChunk): void {
    if (this.#full) return
    const wanted = stream === 'stdout' ? 0 : 1
    if ((this.#segments.length - 1) % 2 !== wanted) {
      this.#segments.push(0)
      this.#cost += SEGMENT_COST
    }
    const room = Math.max(0, this.#limit - this.#cost)
    this.#full = data.length > room
    const kept = this.#full ? data.subarray(0, room) : data
    this.#segments[this.#segments.length - 1]! += kept.length
    this.#cost += kept.length
    this.#copy(kept)
  }

  /** Output is missing here: the server does not keep it any more. What comes after it is kept. */
  gap(): void {
    this.#gaps = true
  }

  /** Whether output is missing: beyond the limit, or in a gap. */
  get truncated(): boolean {
    return this.#full || this.#gaps
  }

  /** All bytes, or those of one stream. */
  bytes(stream?: 'stdout' | 'stderr'): Uint8Array {
    const whole = this.#whole()
    if (stream === undefined) return whole
    const first = stream === 'stdout' ? 0 : 1
    const size = this.#segments.reduce((sum, length, i) => (i % 2 === first ? sum + length : sum), 0)
    if (size === whole.length) return whole
    const picked = new Uint8Array(size)
    let from = 0
    let to = 0
    this.#segments.forEach((length, i) => {
      if (i % 2 === first) {
        picked.set(whole.subarray(from, from + length), to)
        to += length
      }
      from += length
    })
    return picked
  }

  #copy(data: Uint8Array): void {
    let at = 0
    while (at < data.length) {
      const block = this.#room(data.length - at)
      const part = data.subarray(at, at + block.length - this.#used)
      block.set(part, this.#used)
      this.#used += part.length
      at += part.length
    }
  }

  #room(wanted: number): Uint8Array {
    const last = this.#blocks.at(-1)
    if (last && this.#used < last.length) return last
    const size = Math.min(LARGEST_BLOCK, Math.max(FIRST_BLOCK, wanted, (last?.length ?? 0) * 2))
    const block = new Uint8Array(size)
    this.#blocks.push(block)
    this.#used = 0
    return block
  }

  #whole(): Uint8Array {
    const size = this.#segments.reduce((sum, length) => sum + length, 0)
    const whole = new Uint8Array(size)
    let at = 0
    for (const block of this.#blocks) {
      const part = block.subarray(0, size - at)
      whole.set(part, at)
      at += part.length
    }
    return whole
  }
}
