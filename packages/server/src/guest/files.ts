import { dirname } from 'node:path'
import { SandboxError } from '@caisson/protocol/errors'
import { type FieldBuilder, type Fields, fields } from '@caisson/protocol/frame-codec'
import { Field, FrameType } from '@caisson/protocol/frames'
import type { Connection } from './connection.ts'
import type { FileContext } from './errors.ts'
import type { GuestFiles } from './guest.ts'
import { ListRequest } from './list.ts'
import { ReadRequest } from './read.ts'
import { SimpleRequest, type Slots } from './request.ts'
import { readStat } from './stat.ts'
import { WriteRequest } from './write.ts'

type User = { user?: string }

/** File operations of one connection. */
export class Files implements GuestFiles {
  readonly #connection: Connection
  readonly #slots: Slots = { used: 0 }

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async read(path: string, options: User & { offset?: number; length?: number }, signal?: AbortSignal) {
    const payload = ofPath(path, options)
    if (options.offset !== undefined) payload.u64(Field.OFFSET, options.offset)
    if (options.length !== undefined) payload.u64(Field.LENGTH, options.length)
    const data = new ReadRequest(this.#connection, this.#slots, context(path, options))
    return { stat: await data.begin(FrameType.FILE_READ, payload.encode(), signal), data }
  }

  async write(
    path: string,
    data: AsyncIterable<Uint8Array> | Uint8Array,
    options: User & { mode?: number; parents?: boolean },
    signal?: AbortSignal,
  ) {
    const created = options.parents === true ? await this.#makeParent(path, options, signal) : []
    const payload = ofPath(path, options)
    if (options.mode !== undefined) payload.u64(Field.MODE, options.mode)
    const request = new WriteRequest(this.#connection, this.#slots, context(path, options))
    const written = request.begin(FrameType.FILE_WRITE, payload.encode(), signal)
    // A failure of the request ends the sending as well, and is what the caller gets.
    const sent = request.send(data).catch((error) => request.cancel(error))
    const stat = await written
    await sent
    return { stat, created }
  }

  /** A request of its own, because the answer to a write does not tell what was created for it. */
  #makeParent(path: string, options: User, signal: AbortSignal | undefined): Promise<string[]> {
    const parent = dirname(path)
    if (parent === '/' || parent === '.') return Promise.resolve([])
    return this.mkdir(
      parent,
      { ...(options.user !== undefined && { user: options.user }), parents: true },
      signal,
    )
  }

  async stat(path: string, options: User & { follow?: boolean }, signal?: AbortSignal) {
    const payload = flag(ofPath(path, options), Field.FOLLOW, options.follow)
    return this.#request(FrameType.FILE_STAT, path, options, payload, readStat, signal)
  }

  async list(path: string, options: User, signal?: AbortSignal) {
    const request = new ListRequest(this.#connection, this.#slots, context(path, options))
    return request.begin(FrameType.FILE_LIST, ofPath(path, options).encode(), signal)
  }

  async mkdir(path: string, options: User & { mode?: number; parents?: boolean }, signal?: AbortSignal) {
    const payload = flag(ofPath(path, options), Field.PARENTS, options.parents)
    if (options.mode !== undefined) payload.u64(Field.MODE, options.mode)
    const created = (answer: Fields) => answer.strings(Field.CREATED)
    return this.#request(FrameType.FILE_MKDIR, path, options, payload, created, signal)
  }

  async rename(from: string, to: string, options: User, signal?: AbortSignal) {
    const payload = ofPath(from, options).string(Field.TARGET, to)
    await this.#request(FrameType.FILE_RENAME, from, options, payload, nothing, signal)
  }

  async remove(path: string, options: User & { recursive?: boolean }, signal?: AbortSignal) {
    const payload = flag(ofPath(path, options), Field.RECURSIVE, options.recursive)
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

/** Most answers say no more than that it is done. */
function nothing(): void {}

function context(path: string, options: User): FileContext {
  return { path, user: options.user ?? 'root' }
}

function ofPath(path: string, options: User): FieldBuilder {
  // C strings end at NUL: the agent would refuse it as malformed and close the connection for everybody.
  if (path.includes('\0')) throw new SandboxError('file_not_found', { path })
  const payload = fields().string(Field.PATH, path)
  return options.user === undefined ? payload : payload.string(Field.USER, options.user)
}

function flag(payload: FieldBuilder, tag: Field, value: boolean | undefined): FieldBuilder {
  return value === true ? payload.u64(tag, 1) : payload
}
