import { createHash } from 'node:crypto'

const MIB = 1024 * 1024
const PIECE = 256 * 1024

const SEED = 'caisson'

/**
 * Many bytes made from few: a random block over and over, each time after a line with its number, so that nothing can
 * be lost, doubled or exchanged without a trace. The same is made elsewhere by two commands: `makeBlock` writes the
 * block to a file, `repeat` the whole to stdout.
 */
export class Payload {
  readonly block: Buffer
  readonly times: number
  readonly sha256: string

  constructor(sizeMiB: number) {
    const blockMiB = Math.min(64, sizeMiB)
    this.block = createHash('shake256', { outputLength: blockMiB * MIB })
      .update(SEED)
      .digest()
    this.times = sizeMiB / blockMiB
    const hash = createHash('sha256')
    for (const piece of this.pieces()) hash.update(piece)
    this.sha256 = hash.digest('hex')
  }

  get sizeMiB(): number {
    return (this.block.length * this.times) / MIB
  }

  *pieces(): Generator<Buffer> {
    for (let i = 1; i <= this.times; i++) {
      yield Buffer.from(`${i}\n`)
      for (let at = 0; at < this.block.length; at += PIECE) yield this.block.subarray(at, at + PIECE)
    }
  }

  async *stream(): AsyncGenerator<Buffer> {
    yield* this.pieces()
  }

  /** A Python program that writes the block to a file. */
  makeBlock(file: string): string {
    return `import hashlib; open("${file}", "wb").write(hashlib.shake_256(b"${SEED}").digest(${this.block.length}))`
  }

  /** A shell script that writes the bytes to stdout, from a file of the block. */
  repeat(file: string): string {
    return `for i in $(seq ${this.times}); do echo $i; cat ${file}; done`
  }
}

/** A program that prints the SHA-256 of its stdin. */
export const DIGEST_STDIN =
  'import hashlib, sys; print(hashlib.file_digest(sys.stdin.buffer, "sha256").hexdigest())'
