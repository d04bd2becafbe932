import { SandboxError } from '@caisson/protocol/errors'
import {
  encodeFrame,
  type FieldBuilder,
  type Fields,
  FrameError,
  fields,
  parseBulk,
  parseFields,
} from '@caisson/protocol/frame-codec'
import { Field, type Frame, FrameType, LIMITS } from '@caisson/protocol/frames'
import type { Connection } from './connection.ts'
import { type Failure, type FileContext, fileError } from './errors.ts'
import { type TreeEntry, TreeFailure } from './guest.ts'
import { Request, type Slots } from './request.ts'
import { FILE_TYPES } from './stat.ts'
import { TreeSender } from './tree-sender.ts'

/** Permission bits that an entry may have; the agent drops set-user-id and set-group-id as well. */
const MODE_BITS = 0o1777

/** What every kind of writing knows of an entry; a `file` has contents. */
type FileEntry = { path: string; type: 'file'; size: number; data: AsyncIterable<Uint8Array> | Uint8Array }
type AnyEntry = FileEntry | { path: string; type: string }
type Refuse = (reason: string) => never

/** Sends a tree; `begin` answers with the directories that were made for it. */
export class TreeWriteRequest<E extends AnyEntry = TreeEntry> extends Request<string[]> {
  readonly #encode: (entry: E, refuse: Refuse) => FieldBuilder
  readonly #ready = Promise.withResolvers<void>()
  #sender: TreeSender | null = null
  #isSent = false
  #entries = 0
  #bytes = 0
  #unset = 0

  /** @param encode calls `refuse` for an entry that the agent would take for a breach of the protocol */
  constructor(
    connection: Connection,
    slots: Slots,
    context: FileContext,
    encode: (entry: E, refuse: Refuse) => FieldBuilder,
  ) {
    super(connection, slots, context)
    this.#encode = encode
  }

  /** Attributes that could not be set. */
  get unset(): number {
    return this.#unset
  }

  /** What was sent: entries, and bytes of files. */
  get sent(): { entries: number; bytes: number } {
    return { entries: this.#entries, bytes: this.#bytes }
  }

  /** Sends the entries; resolves when all are sent. `begin`'s promise tells the success. */
  async send(entries: AsyncIterable<E> | Iterable<E>): Promise<void> {
    await this.#ready.promise
    const sender = this.#sender as TreeSender
    for await (const entry of entries) {
      await sender.entry(this.#encode(entry, (reason) => this.#refuse(entry, reason)).encode())
      if (isFile(entry)) await this.#sendFile(sender, entry)
      this.#entries++
    }
    sender.flush()
    this.#isSent = true
    this.connection.send(encodeFrame(FrameType.END, this.stream))
  }

  /** What was handed over before stays, so it leaves before the CANCEL. */
  override cancel(error: Error): void {
    this.#sender?.flush()
    super.cancel(error)
  }

  protected override take(frame: Frame): void {
    if (frame.type === FrameType.ACK && this.#sender !== null) this.#onAck(this.#sender, frame.payload)
    else if (frame.type === FrameType.OK && this.#sender === null) this.#onReady()
    else if (frame.type === FrameType.OK && this.#isSent) this.#onWritten(parseFields(frame.payload))
    else this.unexpected(frame)
  }

  protected override refused(answer: Fields, failure: Failure): Error {
    const count = answer.u64(Field.COUNT) ?? 0
    if (count > this.#entries) throw new FrameError(`It has completed ${count} of ${this.#entries} entries`)
    const entry = answer.string(Field.NAME)?.slice(0, LIMITS.MAX_PATH)
    if (entry === undefined) return super.refused(answer, failure)
    return fileError({ ...this.context, path: entry }, failure, new TreeFailure(entry, count))
  }

  protected override failed(error: Error): void {
    this.#ready.promise.catch(() => {})
    this.#ready.reject(error)
    this.#sender?.fail(error)
    super.failed(error)
  }

  #onReady(): void {
    this.#sender = new TreeSender(this.connection, this.stream)
    this.#ready.resolve()
  }

  #onAck(sender: TreeSender, payload: Uint8Array): void {
    const { offset, bytes } = parseBulk(payload)
    if (bytes.length > 0) throw new FrameError('An acknowledgement carries bytes')
    sender.acknowledge(offset)
  }

  #onWritten(answer: Fields): void {
    const created = answer.strings(Field.CREATED)
    this.#unset = answer.u64(Field.SKIPPED) ?? 0
    this.finish()
    this.answer(created)
  }

  async #sendFile(sender: TreeSender, entry: FileEntry): Promise<void> {
    let left = entry.size
    for await (const chunk of entry.data instanceof Uint8Array ? [entry.data] : entry.data) {
      left -= chunk.length
      if (left < 0) break
      await sender.data(chunk)
    }
    if (left !== 0) this.#refuse(entry, `it does not have the ${entry.size} bytes that were announced`)
    this.#bytes += entry.size
  }

  #refuse({ path }: AnyEntry, reason: string): never {
    throw new SandboxError('file_failed', { path, reason }, { cause: new TreeFailure(path, this.#entries) })
  }
}

function isFile(entry: AnyEntry): entry is FileEntry {
  return entry.type === 'file'
}

/** The fields of an entry as an archive or a client has it. */
export function encodeEntry(entry: TreeEntry, refuse: Refuse): FieldBuilder {
  checkText(entry.path, Buffer.byteLength, refuse)
  const payload = fields().string(Field.NAME, entry.path).u64(Field.FILE_TYPE, FILE_TYPES[entry.type])
  if (entry.mode !== undefined) payload.u64(Field.MODE, entry.mode & MODE_BITS)
  if (entry.mtimeMs !== undefined)
    payload.u64(Field.MTIME_NS, BigInt.asUintN(64, BigInt(Math.round(entry.mtimeMs * 1000)) * 1000n))
  if (entry.type === 'file') payload.u64(Field.SIZE, entry.size)
  if (entry.type === 'symlink') {
    checkText(entry.link, Buffer.byteLength, refuse)
    payload.string(Field.LINK, entry.link)
  }
  return payload
}

/** The agent would take such text for a breach of the protocol and close the connection for everybody. */
export function checkText(text: string, bytes: (text: string) => number, refuse: Refuse): void {
  const isTooLong = text.length * 3 > LIMITS.MAX_PATH && bytes(text) >= LIMITS.MAX_PATH
  if (text === '' || text.includes('\0') || isTooLong)
    refuse(isTooLong ? 'a name is too long' : 'a name is empty or has a NUL')
}
