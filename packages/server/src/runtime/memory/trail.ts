import { Errno } from './errno.ts'
import type { MemoryDirectory, MemoryNode } from './nodes.ts'

/** Where a path ends: `node` is undefined when only its parent is there, `parent` is null for the root. */
export interface Place {
  parent: MemoryDirectory | null
  name: string
  path: string
  node: MemoryNode | undefined
}

/** The directories from the root to where a lookup is. */
export class Trail {
  readonly #root: MemoryDirectory
  #names: string[] = []
  #directories: MemoryDirectory[]
  #floor: number | null = null

  constructor(root: MemoryDirectory) {
    this.#root = root
    this.#directories = [root]
  }

  get directory(): MemoryDirectory {
    return this.#directories.at(-1) as MemoryDirectory
  }

  get here(): Place {
    const parent = this.#directories.at(-2) ?? null
    return { parent, name: this.#names.at(-1) ?? '', path: `/${this.#names.join('/')}`, node: this.directory }
  }

  pathOf(name: string): string {
    return `/${[...this.#names, name].join('/')}`
  }

  /** From here on the lookup stays beneath this directory. */
  startAt({ node, path }: Place, base: string): void {
    if (node?.type !== 'directory') throw new Errno(node === undefined ? 'ENOENT' : 'ENOTDIR', base)
    for (const name of this.components(path))
      this.enter(name, this.directory.children.get(name) as MemoryDirectory)
    this.#floor = this.#names.length
  }

  /** The names of a path; an absolute one goes on at the root. */
  components(path: string): string[] {
    if (path.startsWith('/') && this.#floor !== null) throw new Errno('EXDEV', path)
    if (path.startsWith('/')) {
      this.#names = []
      this.#directories = [this.#root]
    }
    return path.split('/').filter((name) => name !== '' && name !== '.')
  }

  enter(name: string, directory: MemoryDirectory): void {
    this.#names.push(name)
    this.#directories.push(directory)
  }

  leave(path: string): void {
    if (this.#floor !== null && this.#names.length <= this.#floor) throw new Errno('EXDEV', path)
    if (this.#names.pop() !== undefined) this.#directories.pop()
  }
}
