import { type FieldBuilder, fields, parseBulk } from '@caisson/protocol/frame-codec'
import { Field, type Frame, FrameType, LIMITS } from '@caisson/protocol/frames'
import type { MemoryDirectory, MemoryNode } from './nodes.ts'
import type { FileRequest } from './request.ts'
import { describedFields, statFields } from './stat.ts'
import type { Stream, Transfer } from './stream.ts'

interface Told {
  content: boolean
  describe(node: MemoryNode, name: string): FieldBuilder
}

type Piece = { entry: FieldBuilder; size: number } | { data: Uint8Array; size: number }

/** Sends a tree within the window, which counts the payload of entries as well. */
export class TreeReading implements Transfer {
  readonly #stream: Stream
  readonly #pieces: Iterator<Piece>
  #next: Piece | undefined
  #sent = 0

  constructor(stream: Stream, { tree, path, fields: request }: FileRequest) {
    this.#stream = stream
    const root = tree.find(path)
    const depth = request.u64(Field.DEPTH) ?? Infinity
    const attributes = request.u64(Field.ATTRIBUTES) === 1
    const told: Told = {
      content: request.u64(Field.CONTENT) === 1,
      describe: (node, name) =>
        attributes ? describedFields(tree, `${path}/${name}`, node) : statFields(node),
    }
    this.#pieces = piecesOf(root, path, depth, told)
    this.#next = this.#pieces.next().value
    stream.send(FrameType.OK, statFields(root))
    this.#sendUpTo(LIMITS.WINDOW)
  }

  receive(frame: Frame): boolean {
    if (frame.type !== FrameType.ACK) return false
    this.#sendUpTo(parseBulk(frame.payload).offset + LIMITS.WINDOW)
    return true
  }

  #sendUpTo(limit: number): void {
    for (let piece = this.#next; piece !== undefined; piece = this.#next) {
      if (this.#sent + piece.size > limit) return
      if ('entry' in piece) this.#stream.send(FrameType.ENTRY, piece.entry)
      else this.#stream.data(this.#sent, piece.data)
      this.#sent += piece.size
      this.#next = this.#pieces.next().value
    }
    this.#stream.end(FrameType.END, fields().u64(Field.SKIPPED, 0))
  }
}

function* piecesOf(root: MemoryNode, path: string, depth: number, told: Told): Generator<Piece> {
  if (root.type === 'directory') yield* below(root, '', depth, told)
  else yield* one(root, path.slice(path.lastIndexOf('/') + 1), told)
}

function* below(directory: MemoryDirectory, prefix: string, depth: number, told: Told): Generator<Piece> {
  const names = [...directory.children.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  for (const name of names) {
    const node = directory.children.get(name)
    if (node === undefined) continue
    yield* one(node, `${prefix}${name}`, told)
    if (node.type === 'directory' && depth > 1) yield* below(node, `${prefix}${name}/`, depth - 1, told)
  }
}

function* one(node: MemoryNode, name: string, { content, describe }: Told): Generator<Piece> {
  const entry = describe(node, name).string(Field.NAME, name)
  yield { entry, size: entry.encode().length }
  if (node.type !== 'file' || !content) return
  for (let at = 0; at < node.data.length; at += LIMITS.MAX_CHUNK) {
    const data = node.data.subarray(at, at + LIMITS.MAX_CHUNK)
    yield { data, size: data.length }
  }
}
