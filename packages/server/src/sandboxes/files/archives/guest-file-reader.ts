import { Readable } from 'node:stream'
import { RandomAccessReader } from 'yauzl'

/** Reads a range of a file in a sandbox; fewer bytes than asked for only at its end. */
type ReadRange = (offset: number, length: number) => Promise<Buffer>

const BLOCK = 1024 * 1024
const BLOCKS_KEPT = 4

/** Random access to a file in a sandbox, a block at a time: an archive's directory and its contents are read in turn. */
export class GuestFileReader extends RandomAccessReader {
  readonly #readRange: ReadRange
  /** The least recently used one is the first. */
  readonly #blocks = new Map<number, Promise<Buffer>>()

  constructor(readRange: ReadRange) {
    super()
    this.#readRange = readRange
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    this.#read(buffer.subarray(offset, offset + length), position).then(
      (bytes) => callback(null, bytes),
      (error) => callback(error),
    )
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return Readable.from(this.#pieces(start, end), { objectMode: false })
  }

  override createReadStream({ start, end }: { start: number; end: number }): Readable {
    return this._readStreamForRange(start, end)
  }

  async #read(target: Buffer, position: number): Promise<number> {
    let filled = 0
    for await (const piece of this.#pieces(position, position + target.length)) {
      target.set(piece, filled)
      filled += piece.length
    }
    return filled
  }

  async *#pieces(start: number, end: number): AsyncGenerator<Buffer> {
    for (let at = start; at < end; ) {
      const index = Math.floor(at / BLOCK)
      const block = await this.#block(index)
      const piece = block.subarray(at - index * BLOCK, end - index * BLOCK)
      if (piece.length === 0) return
      yield piece
      at += piece.length
    }
  }

  #block(index: number): Promise<Buffer> {
    const block = this.#blocks.get(index) ?? this.#readRange(index * BLOCK, BLOCK)
    this.#blocks.delete(index)
    this.#blocks.set(index, block)
    const [oldest] = this.#blocks.keys()
    if (this.#blocks.size > BLOCKS_KEPT && oldest !== undefined) this.#blocks.delete(oldest)
    return block
  }
}
