import { encodeAck, type Fields, FrameError, parseBulk, parseFields } from '@caisson/protocol/frame-codec'
import { Field, type Frame, FrameType, LIMITS } from '@caisson/protocol/frames'
import type { Connection } from './connection.ts'
import type { FileContext } from './errors.ts'
import type { FileStat } from './guest.ts'
import { Request, type Slots } from './request.ts'
import { readStat } from './stat.ts'

const ACK_BYTES = LIMITS.WINDOW / 2

/** What every kind of reading knows of an entry; a `file` has contents. */
interface ReadEntry {
  type: string
  size: number
}
/** `size` is what it takes of the window. */
type Piece<E> = { entry: E; size: number } | { bytes: Uint8Array; size: number }

interface Contents {
  data: AsyncIterable<Uint8Array> | null
}

/**
 * Reads a tree: `begin` answers with the stat of its root, `entries` gives the rest as fast as it is asked for. At most
 * a window of it waits here. The signal of `begin` ends with its answer.
 */
export class TreeReadRequest<E extends ReadEntry> extends Request<FileStat> {
  readonly #content: boolean
  readonly #parse: (entry: Fields) => E
  readonly #pieces: Piece<E>[] = []
  #arrived: PromiseWithResolvers<void> | null = null
  #answered = false
  #ended = false
  #failure: Error | null = null
  #received = 0
  #taken = 0
  #acknowledged = 0
  /** Bytes of the last entry's contents that are still to arrive. */
  #missing = 0
  #skipped = 0
  /** The entry whose contents come next. */
  #current: E | null = null

  /** @param parse throws a FrameError for an entry that is not valid */
  constructor(
    connection: Connection,
    slots: Slots,
    context: FileContext,
    { content, parse }: { content: boolean; parse: (entry: Fields) => E },
  ) {
    super(connection, slots, context)
    this.#content = content
    this.#parse = parse
  }

  get skipped(): number {
    return this.#skipped
  }

  get entries(): AsyncIterableIterator<E & Contents> {
    const walk = this.#walk()
    // A generator that was never asked for anything would not notice that it is left.
    const leave = async () => {
      this.cancel(new Error('The reader has left'))
      return walk.return(undefined)
    }
    return {
      next: () => walk.next(),
      return: leave,
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  async *#walk(): AsyncGenerator<E & Contents, undefined> {
    try {
      for (let piece = await this.#next(); piece !== null; piece = await this.#next()) {
        // Contents that nobody wanted.
        if ('bytes' in piece) continue
        this.#current = piece.entry
        const hasData = this.#content && piece.entry.type === 'file'
        yield { ...piece.entry, data: hasData ? this.#contents(piece.entry) : null }
      }
    } finally {
      this.cancel(new Error('The reader has left'))
    }
    return undefined
  }

  protected override take(frame: Frame): void {
    if (frame.type === FrameType.OK && !this.#answered) this.#onOpened(readStat(parseFields(frame.payload)))
    else if (!this.#answered) this.unexpected(frame)
    else if (frame.type === FrameType.ENTRY && this.#missing === 0) this.#onEntry(frame.payload)
    else if (frame.type === FrameType.DATA && this.#missing > 0) this.#onData(frame.payload)
    else if (frame.type === FrameType.END && this.#missing === 0) this.#onEnd(frame.payload)
    else this.unexpected(frame)
  }

  protected override failed(error: Error): void {
    this.#failure = error
    this.#pieces.length = 0
    if (!this.#answered) super.failed(error)
    this.#wake()
  }

  #onOpened(stat: FileStat): void {
    this.#answered = true
    this.answer(stat)
  }

  #onEntry(payload: Uint8Array): void {
    const entry = this.#parse(parseFields(payload))
    if (this.#content && entry.type === 'file') this.#missing = entry.size
    this.#add({ entry, size: payload.length })
  }

  #onData(payload: Uint8Array): void {
    const { offset, bytes } = parseBulk(payload)
    if (offset !== this.#received || bytes.length === 0 || bytes.length > this.#missing)
      throw new FrameError(`Contents of ${bytes.length} bytes at offset ${offset} do not belong to an entry`)
    this.#missing -= bytes.length
    this.#add({ bytes: Buffer.from(bytes), size: bytes.length })
  }

  #onEnd(payload: Uint8Array): void {
    this.#skipped = parseFields(payload).u64(Field.SKIPPED) ?? 0
    this.#ended = true
    this.finish()
    this.#wake()
  }

  #add(piece: Piece<E>): void {
    this.#received += piece.size
    if (this.#received - this.#acknowledged > LIMITS.WINDOW)
      throw new FrameError('A tree came beyond the window')
    this.#pieces.push(piece)
    this.#wake()
  }

  async #next(): Promise<Piece<E> | null> {
    while (this.#pieces.length === 0 && this.#failure === null && !this.#ended) {
      this.#arrived ??= Promise.withResolvers()
      await this.#arrived.promise
    }
    if (this.#failure !== null) throw this.#failure
    const piece = this.#pieces.shift()
    if (piece === undefined) return null
    this.#taken += piece.size
    if (!this.#ended && this.#taken - this.#acknowledged >= ACK_BYTES) {
      this.#acknowledged = this.#taken
      this.connection.send(encodeAck(this.stream, this.#taken))
    }
    return piece
  }

  async *#contents(entry: E): AsyncGenerator<Uint8Array> {
    for (let left = entry.size; left > 0; ) {
      if (this.#current !== entry) throw new Error('The contents of an entry were asked for too late')
      const piece = await this.#next()
      if (piece === null || 'entry' in piece) throw new Error('The tree was read by two at once')
      left -= piece.size
      yield piece.bytes
    }
  }

  #wake(): void {
    this.#arrived?.resolve()
    this.#arrived = null
  }
}
