import { type Fields, fields, parseBulk, parseFields } from '@caisson/protocol/frame-codec'
import { Field, type Frame, FrameType } from '@caisson/protocol/frames'
import { Errno } from './errno.ts'
import type { MemoryNode } from './nodes.ts'
import { absolute, type FileRequest } from './request.ts'
import { TYPES } from './stat.ts'
import type { Stream, Transfer } from './stream.ts'

interface Pending {
  entry: Fields
  name: string
  chunks: Uint8Array[]
  left: number
}

/** Takes a tree entry by entry; an entry is in place before the next one comes. */
export class TreeWriting implements Transfer {
  readonly #stream: Stream
  readonly #asked: FileRequest
  readonly #base: string | undefined
  readonly #created: string[] = []
  #file: Pending | null = null
  #name = ''
  #entries = 0
  #bytes = 0
  #received = 0

  constructor(stream: Stream, asked: FileRequest) {
    this.#stream = stream
    this.#asked = asked
    this.#base = asked.fields.string(Field.PATH) === undefined ? undefined : asked.path
    if (this.#base !== undefined) asked.tree.directory(this.#base)
    stream.send(FrameType.OK)
  }

  receive(frame: Frame): boolean {
    try {
      return this.#receive(frame)
    } catch (error) {
      if (!(error instanceof Errno)) throw error
      this.#stream.fail(error, fields().u64(Field.COUNT, this.#entries).string(Field.NAME, this.#name))
      return true
    }
  }

  #receive(frame: Frame): boolean {
    if (frame.type === FrameType.ENTRY && this.#file === null) {
      this.#received += frame.payload.length
      this.#begin(parseFields(frame.payload))
    } else if (frame.type === FrameType.DATA && this.#file !== null) {
      if (!this.#take(this.#file, frame.payload)) return false
    } else if (frame.type === FrameType.END && this.#file === null) {
      const done = fields().u64(Field.COUNT, this.#entries).u64(Field.SIZE, this.#bytes)
      this.#stream.end(FrameType.OK, done.strings(Field.CREATED, this.#created))
      return true
    } else return false
    this.#stream.acknowledge(this.#received)
    return true
  }

  #begin(entry: Fields): void {
    this.#name = entry.string(Field.NAME) ?? ''
    const type = entry.u64(Field.FILE_TYPE)
    const name = this.#base === undefined ? absolute(this.#name, this.#asked.user.home) : this.#name
    if (this.#name === '' || (this.#base !== undefined && isUnsafe(name)))
      throw new Errno('EINVAL', 'the name leaves the directory')
    this.#makeParents(name)
    if (type === TYPES.directory) this.#makeDirectory(name, entry)
    else if (type === TYPES.symlink)
      this.#put(name, entry, { type: 'symlink', link: entry.string(Field.LINK) ?? '' })
    else if (type === TYPES.file) this.#file = { entry, name, chunks: [], left: entry.u64(Field.SIZE) ?? 0 }
    else throw new Errno('EINVAL', 'this type of file cannot be made')
    if (this.#file?.left === 0) this.#finish(this.#file)
  }

  #take(file: Pending, payload: Uint8Array): boolean {
    const { offset, bytes } = parseBulk(payload)
    if (offset !== this.#received || bytes.length > file.left) return false
    this.#received += bytes.length
    file.left -= bytes.length
    file.chunks.push(bytes.slice())
    if (file.left === 0) this.#finish(file)
    return true
  }

  #finish({ name, entry, chunks }: Pending): void {
    this.#file = null
    const data = Buffer.concat(chunks)
    this.#put(name, entry, { type: 'file', data })
    this.#bytes += data.length
  }

  #makeParents(name: string): void {
    const at = name.replace(/\/+$/, '').lastIndexOf('/')
    if (at <= 0) return
    const { tree, user } = this.#asked
    this.#created.push(...tree.mkdir(name.slice(0, at), 0o755, user.uid, true, this.#base))
  }

  #makeDirectory(name: string, entry: Fields): void {
    const { tree, user } = this.#asked
    const mode = (entry.u64(Field.MODE) ?? 0o755) & 0o1777
    this.#created.push(...tree.mkdir(name, mode, user.uid, true, this.#base))
    this.#entries++
  }

  #put(
    name: string,
    entry: Fields,
    node: { type: 'symlink'; link: string } | { type: 'file'; data: Uint8Array },
  ): void {
    const { tree, user } = this.#asked
    const mode = node.type === 'symlink' ? 0o777 : (entry.u64(Field.MODE) ?? 0o644) & 0o1777
    const mtime = entry.i64(Field.MTIME_NS)
    const mtimeMs = mtime === undefined ? Date.now() : Number(mtime / 1000n) / 1000
    tree.place(
      name,
      { ...node, mode, uid: user.uid, gid: user.uid, mtimeMs } satisfies MemoryNode,
      this.#base,
    )
    this.#entries++
  }
}

function isUnsafe(name: string): boolean {
  return name.startsWith('/') || name.split('/').includes('..')
}
