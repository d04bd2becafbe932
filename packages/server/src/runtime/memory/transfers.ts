import { fields, parseBulk } from '@caisson/protocol/frame-codec'
import { Field, type Frame, FrameType, LIMITS } from '@caisson/protocol/frames'
import { Errno } from './errno.ts'
import { changeAttributes, giveAway, type MemoryFile } from './nodes.ts'
import { type FileRequest, uploadKey } from './request.ts'
import { statFields } from './stat.ts'
import type { Stream, Transfer } from './stream.ts'

/** Sends a file within the window. */
export class Reading implements Transfer {
  readonly #stream: Stream
  readonly #data: Uint8Array
  #sent = 0

  constructor(stream: Stream, asked: FileRequest) {
    const node = source(asked)
    const from = asked.fields.u64(Field.OFFSET) ?? 0
    this.#stream = stream
    this.#data = node.data.subarray(from, from + (asked.fields.u64(Field.LENGTH) ?? node.data.length))
    stream.send(FrameType.OK, statFields(node))
    this.#sendUpTo(LIMITS.WINDOW)
  }

  receive(frame: Frame): boolean {
    if (frame.type !== FrameType.ACK) return false
    this.#sendUpTo(parseBulk(frame.payload).offset + LIMITS.WINDOW)
    return true
  }

  #sendUpTo(limit: number): void {
    const end = Math.min(limit, this.#data.length)
    while (this.#sent < end) {
      const chunk = this.#data.subarray(this.#sent, Math.min(end, this.#sent + LIMITS.MAX_CHUNK))
      this.#stream.data(this.#sent, chunk)
      this.#sent += chunk.length
    }
    if (this.#sent === this.#data.length) this.#stream.end(FrameType.END)
  }
}

function source(asked: FileRequest): MemoryFile {
  const key = uploadKey(asked)
  if (key !== undefined) return partOf(asked, asked.uploads.get(key))
  const node = asked.tree.find(asked.path)
  if (node.type !== 'file') throw new Errno('EISDIR', asked.path)
  return node
}

function partOf({ path, user }: FileRequest, data: Uint8Array | undefined): MemoryFile {
  if (data === undefined) throw new Errno('ENOENT', path)
  return { type: 'file', data, mode: 0o600, uid: user.uid, gid: user.uid, mtimeMs: Date.now() }
}

/** Collects a file and puts it in place at its end, or keeps what came of an upload that can go on. */
export class Writing implements Transfer {
  readonly #stream: Stream
  readonly #asked: FileRequest
  readonly #key: string | undefined
  readonly #chunks: Uint8Array[] = []
  #received = 0

  constructor(stream: Stream, asked: FileRequest) {
    const { tree, path, user, fields: request } = asked
    this.#stream = stream
    this.#asked = asked
    this.#key = uploadKey(asked)
    const parent = path.replace(/\/+[^/]*\/*$/, '') || '/'
    if (request.u64(Field.PARENTS) === 1) tree.mkdir(parent, 0o755, user.uid, true)
    tree.directory(parent)
    const held = this.#key === undefined ? undefined : this.#resume(this.#key)
    stream.send(FrameType.OK, held === undefined ? fields() : fields().u64(Field.OFFSET, held))
  }

  receive(frame: Frame): boolean {
    if (frame.type === FrameType.END) {
      this.#finish()
      return true
    }
    if (frame.type !== FrameType.DATA) return false
    const { offset, bytes } = parseBulk(frame.payload)
    if (offset !== this.#received) return false
    this.#received += bytes.length
    this.#chunks.push(bytes.slice())
    this.#stream.acknowledge(this.#received)
    return true
  }

  /** However it ends, an upload keeps what came. */
  close(): void {
    if (this.#key !== undefined) this.#asked.uploads.set(this.#key, Buffer.concat(this.#chunks.splice(0)))
  }

  /** @returns how much the upload holds once what is above the offset that was asked for is cut off. */
  #resume(key: string): number {
    const held = this.#asked.uploads.get(key) ?? new Uint8Array(0)
    const from = this.#asked.fields.u64(Field.OFFSET) ?? held.length
    if (from > held.length) throw new Errno('EINVAL', 'the upload ends before that offset')
    this.#chunks.push(held.slice(0, from))
    this.#received = from
    return from
  }

  #finish(): void {
    const { tree, path, user, uploads, fields: request } = this.#asked
    const data = Buffer.concat(this.#chunks)
    if (this.#key !== undefined && data.length !== request.u64(Field.SIZE)) {
      this.#stream.end(FrameType.OK, fields().u64(Field.OFFSET, data.length))
      return
    }
    const file = tree.write(path, data, request.u64(Field.MODE), user.uid)
    giveAway(file, request)
    changeAttributes(file, request)
    this.#stream.end(FrameType.OK, statFields(file))
    if (this.#key !== undefined) uploads.delete(this.#key)
  }
}
