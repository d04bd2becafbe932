import { dirname } from 'node:path'
import { SandboxError } from '@caisson/protocol/errors'
import { type FieldBuilder, type Fields, FrameError } from '@caisson/protocol/frame-codec'
import { Field, FrameType } from '@caisson/protocol/frames'
import { withAttributes } from './attributes.ts'
import type { Connection } from './connection.ts'
import { type ExactEntry, encodeExactEntry, readExactEntry } from './exact-tree.ts'
import type { FileStat, GuestFiles, Owner, TreeEntry } from './guest.ts'
import { ListRequest } from './list.ts'
import { context, flag, ofOwner, ofPath, ofUpload, ofUser, type User, withText } from './payload.ts'
import { ReadRequest } from './read.ts'
import { SimpleRequest, type Slots } from './request.ts'
import { send } from './send.ts'
import { readDescription, readEntry, readStat } from './stat.ts'
import { TreeReadRequest } from './tree-read.ts'
import { encodeEntry, TreeWriteRequest } from './tree-write.ts'
import { WatchRequest } from './watch.ts'
import { WriteRequest } from './write.ts'

type PartOptions = Parameters<GuestFiles['writePart']>[2]

/** File operations of one connection. */
export class Files implements GuestFiles {
  readonly #connection: Connection
  readonly #slots: Slots

  constructor(connection: Connection, slots: Slots) {
    this.#connection = connection
    this.#slots = slots
  }

  async read(
    path: string,
    options: User & { offset?: number; length?: number; resume?: string },
    signal?: AbortSignal,
  ) {
    const payload = ofUpload(ofPath(path, options), options)
    if (options.offset !== undefined) payload.u64(Field.OFFSET, options.offset)
    if (options.length !== undefined) payload.u64(Field.LENGTH, options.length)
    const data = new ReadRequest(this.#connection, this.#slots, context(path, options))
    return { stat: await data.begin(FrameType.FILE_READ, payload.encode(), signal), data }
  }

  async write(
    path: string,
    data: AsyncIterable<Uint8Array> | Uint8Array,
    options: Parameters<GuestFiles['write']>[2],
    signal?: AbortSignal,
  ) {
    const payload = withAttributes(ofOwner(ofPath(path, options), options.owner), options.attributes ?? {})
    const created = options.parents === true ? await this.#makeParent(path, options, signal) : []
    if (options.mode !== undefined) payload.u64(Field.MODE, options.mode)
    const request = new WriteRequest(this.#connection, this.#slots, context(path, options), readStat)
    const stat = await send(request, FrameType.FILE_WRITE, payload, data, signal)
    return { stat, created }
  }

  async writePart(
    path: string,
    data: AsyncIterable<Uint8Array> | Uint8Array,
    options: PartOptions,
    signal?: AbortSignal,
  ) {
    const created = options.parents === true ? await this.#makeParent(path, options, signal) : []
    const payload = ofUpload(ofPath(path, options), options)
    payload.u64(Field.OFFSET, options.offset).u64(Field.SIZE, options.size)
    if (options.mode !== undefined) payload.u64(Field.MODE, options.mode)
    const upload = context(path, options)
    const request = new WriteRequest(this.#connection, this.#slots, upload, readPart, options.offset)
    try {
      return { ...(await send(request, FrameType.FILE_WRITE, payload, data, signal)), created }
    } catch (error) {
      throw await this.#partError(path, options, error, signal)
    }
  }

  async received(path: string, options: User & { resume: string }, signal?: AbortSignal): Promise<number> {
    try {
      const { stat, data } = await this.read(path, { ...options, length: 0 }, signal)
      await data.return()
      return stat.size
    } catch (error) {
      if (SandboxError.is(error, 'file_not_found')) return 0
      throw error
    }
  }

  async writeTree(
    base: string | null,
    entries: AsyncIterable<TreeEntry> | Iterable<TreeEntry>,
    options: User,
    signal?: AbortSignal,
  ) {
    const payload = base === null ? ofUser(options) : ofPath(base, options)
    const request = new TreeWriteRequest(
      this.#connection,
      this.#slots,
      context(base ?? '.', options),
      encodeEntry,
    )
    const created = await send(request, FrameType.TREE_WRITE, payload, entries, signal)
    return { ...request.sent, created }
  }

  async readTree(path: string, options: Parameters<GuestFiles['readTree']>[1], signal?: AbortSignal) {
    const content = options.content === true
    const asked = flag(ofPath(path, options), Field.ATTRIBUTES, options.attributes)
    const payload = flag(asked, Field.CONTENT, content)
    if (options.depth !== undefined) payload.u64(Field.DEPTH, options.depth)
    const kind = { content, parse: readEntry }
    const request = new TreeReadRequest(this.#connection, this.#slots, context(path, options), kind)
    const stat = await request.begin(FrameType.TREE_READ, payload.encode(), signal)
    return {
      stat,
      entries: request.entries,
      get skipped() {
        return request.skipped
      },
    }
  }

  async readExactly(path: string, signal?: AbortSignal) {
    const kind = { content: true, parse: readExactEntry }
    const payload = flag(flag(ofPath(path, {}), Field.CONTENT, true), Field.EXACT, true)
    const request = new TreeReadRequest(this.#connection, this.#slots, context(path, {}), kind)
    await request.begin(FrameType.TREE_READ, payload.encode(), signal)
    return {
      entries: request.entries,
      get skipped() {
        return request.skipped
      },
    }
  }

  async writeExactly(path: string, entries: AsyncIterable<ExactEntry>, signal?: AbortSignal) {
    const payload = flag(ofPath(path, {}), Field.EXACT, true)
    const request = new TreeWriteRequest(this.#connection, this.#slots, context(path, {}), encodeExactEntry)
    await send(request, FrameType.TREE_WRITE, payload, entries, signal)
    return { ...request.sent, lost: request.unset }
  }

  async watch(path: string, options: User & { recursive?: boolean }, signal?: AbortSignal) {
    const payload = flag(ofPath(path, options), Field.RECURSIVE, options.recursive)
    const request = new WatchRequest(this.#connection, this.#slots, context(path, options))
    return request.begin(FrameType.FILE_WATCH, payload.encode(), signal)
  }

  /** A part that begins behind what was received is refused as invalid, like other things that are not. */
  async #partError(path: string, options: PartOptions, error: unknown, signal: AbortSignal | undefined) {
    if (!SandboxError.is(error, 'file_wrong_type') || options.offset === 0) return error
    const offset = await this.received(path, options, signal)
    return offset < options.offset ? new SandboxError('upload_offset', { path, offset }) : error
  }

  /** A request of its own, because the answer to a write does not tell what was created for it. */
  #makeParent(
    path: string,
    options: User & { owner?: Owner },
    signal: AbortSignal | undefined,
  ): Promise<string[]> {
    const parent = dirname(path)
    if (parent === '/' || parent === '.') return Promise.resolve([])
    return this.mkdir(
      parent,
      {
        ...(options.user !== undefined && { user: options.user }),
        ...(options.owner !== undefined && { owner: options.owner }),
        parents: true,
      },
      signal,
    )
  }

  async stat(path: string, options: Parameters<GuestFiles['stat']>[1], signal?: AbortSignal) {
    const asked = flag(ofPath(path, options), Field.ATTRIBUTES, options.attributes)
    const payload = flag(asked, Field.FOLLOW, options.follow)
    return this.#request(FrameType.FILE_STAT, path, options, payload, readDescription, signal)
  }

  async list(path: string, options: User & { attributes?: boolean }, signal?: AbortSignal) {
    const payload = flag(ofPath(path, options), Field.ATTRIBUTES, options.attributes)
    const request = new ListRequest(this.#connection, this.#slots, context(path, options))
    return request.begin(FrameType.FILE_LIST, payload.encode(), signal)
  }

  async setAttributes(
    path: string,
    attributes: Record<string, string | null>,
    options: User,
    signal?: AbortSignal,
  ) {
    const payload = withAttributes(ofPath(path, options), attributes)
    await this.#request(FrameType.FILE_ATTRIBUTES, path, options, payload, nothing, signal)
  }

  async mkdir(path: string, options: Parameters<GuestFiles['mkdir']>[1], signal?: AbortSignal) {
    const payload = flag(ofOwner(ofPath(path, options), options.owner), Field.PARENTS, options.parents)
    if (options.mode !== undefined) payload.u64(Field.MODE, options.mode)
    const created = (answer: Fields) => answer.strings(Field.CREATED)
    return this.#request(FrameType.FILE_MKDIR, path, options, payload, created, signal)
  }

  async rename(from: string, to: string, options: User, signal?: AbortSignal) {
    const payload = withText(ofPath(from, options), Field.TARGET, to)
    await this.#request(FrameType.FILE_RENAME, from, options, payload, nothing, signal)
  }

  async remove(path: string, options: User & { recursive?: boolean; resume?: string }, signal?: AbortSignal) {
    const payload = flag(ofUpload(ofPath(path, options), options), Field.RECURSIVE, options.recursive)
    await this.#request(FrameType.FILE_REMOVE, path, options, payload, nothing, signal)
  }

  async chmod(path: string, mode: number, options: User, signal?: AbortSignal) {
    const payload = ofPath(path, options).u64(Field.MODE, mode)
    await this.#request(FrameType.FILE_CHMOD, path, options, payload, nothing, signal)
  }

  async chown(path: string, uid: number, gid: number, options: User, signal?: AbortSignal) {
    const payload = ofPath(path, options).u64(Field.UID, uid).u64(Field.GID, gid)
    await this.#request(FrameType.FILE_CHOWN, path, options, payload, nothing, signal)
  }

  #request<T>(
    type: FrameType,
    path: string,
    options: User,
    payload: FieldBuilder,
    read: (answer: Fields) => T,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const request = new SimpleRequest(this.#connection, this.#slots, context(path, options), read)
    return request.begin(type, payload.encode(), signal)
  }
}

/** @throws FrameError when it holds another amount than was sent. */
function readPart(answer: Fields, end: number): { stat: FileStat | null; offset: number } {
  if (answer.bytes(Field.FILE_TYPE) !== undefined) return { stat: readStat(answer), offset: end }
  const offset = answer.u64(Field.OFFSET)
  if (offset !== end) throw new FrameError(`An upload of ${end} bytes cannot hold ${offset}`)
  return { stat: null, offset }
}

/** Most answers say no more than that it is done. */
function nothing(): void {}
