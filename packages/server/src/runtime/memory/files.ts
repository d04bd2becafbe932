import {
  encodeBulkHead,
  encodeFrame,
  type FieldBuilder,
  type Fields,
  fields,
  parseBulk,
} from '@caisson/protocol/frame-codec'
import { Field, type Frame, FrameType, LIMITS } from '@caisson/protocol/frames'
import { Errno } from './errno.ts'
import type { Wire } from './execution.ts'
import type { MemoryNode, MemoryTree } from './tree.ts'
import { findUser, userName } from './users.ts'

const TYPES = { file: 0o100000, directory: 0o040000 } as const

/** A transfer that goes on over several frames. */
export interface Transfer {
  /** @returns false when the frame does not belong. */
  receive(frame: Frame): boolean
}

/** Answers one file request. @returns the transfer that it opened, if any. @throws Errno */
export function serveFile(tree: MemoryTree, wire: Wire, frame: Frame, request: Fields): Transfer | null {
  const user = findUser(request.string(Field.USER))
  const path = absolute(request.string(Field.PATH) ?? '', user.home)
  const ok = (answer: FieldBuilder = fields()) =>
    wire.send(encodeFrame(FrameType.OK, frame.stream, answer.encode()))
  switch (frame.type) {
    case FrameType.FILE_READ:
      return new Reading(tree, wire, frame.stream, path, request)
    case FrameType.FILE_WRITE:
      return new Writing(tree, wire, frame.stream, path, request, user.uid)
    case FrameType.FILE_STAT:
      ok(statFields(tree.find(path)))
      return null
    case FrameType.FILE_LIST:
      list(tree, wire, frame.stream, path)
      return null
    case FrameType.FILE_MKDIR: {
      const parents = request.u64(Field.PARENTS) === 1
      const made = tree.mkdir(path, request.u64(Field.MODE) ?? 0o755, user.uid, parents)
      ok(fields().strings(Field.CREATED, made))
      return null
    }
    case FrameType.FILE_RENAME:
      tree.rename(path, absolute(request.string(Field.TARGET) ?? '', user.home))
      break
    case FrameType.FILE_REMOVE:
      tree.remove(path, request.u64(Field.RECURSIVE) === 1)
      break
    case FrameType.FILE_CHMOD:
      tree.find(path).mode = request.u64(Field.MODE) ?? 0
      break
    case FrameType.FILE_CHOWN:
      chown(tree.find(path), request)
      break
    default:
      throw new Errno('ENOSYS', `request ${frame.type}`)
  }
  ok()
  return null
}

export function absolute(path: string, home: string): string {
  return path.startsWith('/') ? path : `${home}/${path}`
}

function chown(node: MemoryNode, request: Fields): void {
  node.uid = request.u64(Field.UID) ?? node.uid
  node.gid = request.u64(Field.GID) ?? node.gid
}

function list(tree: MemoryTree, wire: Wire, stream: number, path: string): void {
  for (const [name, node] of tree.directory(path).children) {
    const entry = statFields(node).string(Field.NAME, name)
    wire.send(encodeFrame(FrameType.ENTRY, stream, entry.encode()))
  }
  wire.send(encodeFrame(FrameType.END, stream))
}

function statFields(node: MemoryNode): FieldBuilder {
  const answer = fields()
    .u64(Field.FILE_TYPE, TYPES[node.type])
    .u64(Field.SIZE, node.type === 'file' ? node.data.length : 0)
    .u64(Field.MODE, node.mode)
    .u64(Field.UID, node.uid)
    .u64(Field.GID, node.gid)
    .u64(Field.MTIME_NS, BigInt(node.mtimeMs) * 1_000_000n)
  const owner = userName(node.uid)
  const group = userName(node.gid)
  if (owner !== undefined) answer.string(Field.OWNER, owner)
  return group === undefined ? answer : answer.string(Field.GROUP, group)
}

/** Sends a file within the window. */
class Reading implements Transfer {
  readonly #wire: Wire
  readonly #stream: number
  readonly #data: Uint8Array
  #sent = 0
  #ended = false

  constructor(tree: MemoryTree, wire: Wire, stream: number, path: string, request: Fields) {
    const node = tree.find(path)
    if (node.type !== 'file') throw new Errno('EISDIR', path)
    const from = request.u64(Field.OFFSET) ?? 0
    this.#wire = wire
    this.#stream = stream
    this.#data = node.data.subarray(from, from + (request.u64(Field.LENGTH) ?? node.data.length))
    wire.send(encodeFrame(FrameType.OK, stream, statFields(node).encode()))
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
      this.#wire.send(encodeBulkHead(FrameType.DATA, this.#stream, this.#sent, chunk.length), chunk)
      this.#sent += chunk.length
    }
    if (this.#sent < this.#data.length || this.#ended) return
    this.#ended = true
    this.#wire.send(encodeFrame(FrameType.END, this.#stream))
  }
}

/** Collects a file and puts it in place at its end. */
class Writing implements Transfer {
  readonly #chunks: Uint8Array[] = []
  readonly #finish: (data: Uint8Array) => void
  readonly #acknowledge: (offset: number) => void
  #received = 0

  constructor(tree: MemoryTree, wire: Wire, stream: number, path: string, request: Fields, uid: number) {
    const parent = path.replace(/\/+[^/]*\/*$/, '') || '/'
    if (request.u64(Field.PARENTS) === 1) tree.mkdir(parent, 0o755, uid, true)
    tree.directory(parent)
    wire.send(encodeFrame(FrameType.OK, stream))
    this.#finish = (data) => {
      const answer = statFields(tree.write(path, data, request.u64(Field.MODE), uid))
      wire.send(encodeFrame(FrameType.OK, stream, answer.encode()))
    }
    this.#acknowledge = (offset) => {
      const payload = new Uint8Array(8)
      new DataView(payload.buffer).setBigUint64(0, BigInt(offset), true)
      wire.send(encodeFrame(FrameType.ACK, stream, payload))
    }
  }

  receive(frame: Frame): boolean {
    if (frame.type === FrameType.END) {
      this.#finish(Buffer.concat(this.#chunks))
      return true
    }
    if (frame.type !== FrameType.DATA) return false
    const { offset, bytes } = parseBulk(frame.payload)
    if (offset !== this.#received) return false
    this.#received += bytes.length
    this.#chunks.push(bytes.slice())
    this.#acknowledge(this.#received)
    return true
  }
}
