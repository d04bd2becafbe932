import { fields } from '@caisson/protocol/frame-codec'
import { Change, Field, FrameType } from '@caisson/protocol/frames'
import type { FileRequest } from './request.ts'
import { TYPES } from './stat.ts'
import type { Stream, Transfer } from './stream.ts'
import type { TreeChange } from './tree.ts'

/** Tells what happens below a directory. */
export class Watching implements Transfer {
  readonly #stream: Stream
  readonly #root: string
  readonly #recursive: boolean
  readonly close: () => void

  constructor(stream: Stream, { tree, path, fields: request }: FileRequest) {
    tree.directory(path)
    this.#stream = stream
    this.#root = tree.canonical(path)
    this.#recursive = request.u64(Field.RECURSIVE) === 1
    stream.send(FrameType.OK)
    this.close = tree.onChange((change) => this.#tell(change))
  }

  receive(): boolean {
    return false
  }

  #tell(change: TreeChange): void {
    const from = this.#nameOf(change.path)
    const to = change.target === undefined ? null : this.#nameOf(change.target)
    if (from !== null && to !== null) this.#send('rename', from, change, to)
    else if (from !== null) this.#send(change.type === 'rename' ? 'remove' : change.type, from, change)
    else if (to !== null) this.#send('create', to, change)
    if (change.path === this.#root && change.type === 'remove') this.#stream.end(FrameType.END)
  }

  #send(change: keyof typeof Change, name: string, { node }: TreeChange, target?: string): void {
    const event = fields().u64(Field.CHANGE, Change[change]).string(Field.NAME, name)
    if (target !== undefined) event.string(Field.TARGET, target)
    event.u64(Field.FILE_TYPE, TYPES[node.type])
    const written = change === 'create' && node.type === 'file' && node.data.length > 0
    this.#stream.send(FrameType.EVENT, written ? event.u64(Field.CONTENT, 1) : event)
  }

  /** Relative to the watched directory; null when it is not watched. */
  #nameOf(path: string): string | null {
    if (path === this.#root) return ''
    const prefix = this.#root === '/' ? '/' : `${this.#root}/`
    if (!path.startsWith(prefix)) return null
    const name = path.slice(prefix.length)
    return this.#recursive || !name.includes('/') ? name : null
  }
}
