import { Errno } from './errno.ts'
import { type Common, type MemoryDirectory, type MemoryFile, type MemoryNode, newDirectory } from './nodes.ts'
import { type Place, Trail } from './trail.ts'

/** Something that happened to a path; `target` is the new path of a rename. */
export interface TreeChange {
  type: 'create' | 'remove' | 'rename' | 'chmod'
  path: string
  target?: string
  node: MemoryNode
}

/** How a path is looked up. */
interface Lookup {
  /** Whether a symbolic link at the end of the path is followed; those before it always are. */
  follow: boolean
  /** A directory that the path is relative to and stays beneath. */
  base?: string | undefined
}

const MAX_LINKS = 40

/** Files, directories and symbolic links in memory. Modes and owners are recorded and never checked. */
export class MemoryTree {
  readonly #root: MemoryDirectory
  readonly #listeners = new Set<(change: TreeChange) => void>()
  readonly #mounts = new Map<string, { readOnly: boolean }>()

  constructor(root = newDirectory(0o755, 0)) {
    this.#root = root
  }

  copy(): MemoryTree {
    return new MemoryTree(structuredClone(this.#root))
  }

  /** Puts a directory that other trees have as well in place of an empty one, which it makes. */
  mount(path: string, directory: MemoryDirectory, readOnly: boolean): void {
    this.mkdir(path, 0o755, 0, true)
    const { parent, name } = this.#existing(path)
    parent.children.set(name, directory)
    this.#mounts.set(path, { readOnly })
  }

  /** @returns the undo. */
  onChange(listener: (change: TreeChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** @throws Errno ENOENT, ENOTDIR, ELOOP */
  find(path: string, follow = true): MemoryNode {
    const { node } = this.#locate(path, { follow })
    if (node === undefined) throw new Errno('ENOENT', path)
    return node
  }

  /** @throws Errno ENOTDIR and those of `find` */
  directory(path: string): MemoryDirectory {
    const node = this.find(path)
    if (node.type !== 'directory') throw new Errno('ENOTDIR', path)
    return node
  }

  /** The path without links. */
  canonical(path: string): string {
    return this.#locate(path, { follow: true }).path
  }

  /** Makes a directory. @returns the paths that were made, outermost first. */
  mkdir(path: string, mode: number, uid: number, parents: boolean, base?: string): string[] {
    const parts = path.split('/').filter((name) => name !== '')
    const made: string[] = []
    for (let count = parents ? 1 : parts.length; count <= parts.length; count++) {
      const last = count === parts.length
      const part = `${path.startsWith('/') ? '/' : ''}${parts.slice(0, count).join('/')}`
      const place = this.#locate(part, { follow: true, base })
      if (place.node !== undefined && last && !(parents && place.node.type === 'directory'))
        throw new Errno('EEXIST', path)
      if (place.node !== undefined && place.node.type !== 'directory') throw new Errno('ENOTDIR', path)
      if (place.node !== undefined) continue
      this.#put(place, newDirectory(last ? mode : 0o755, uid))
      made.push(place.path)
    }
    if (parts.length === 0 && !parents) throw new Errno('EEXIST', path)
    return made
  }

  /** Puts a file in place of what is there; a directory is not replaced, a symbolic link is written through. */
  write(path: string, data: Uint8Array, mode: number | undefined, uid: number): MemoryFile {
    const place = this.#locate(path, { follow: true })
    const old = place.node
    const file: MemoryFile = {
      ...{ type: 'file', data, mode: mode ?? old?.mode ?? 0o644 },
      ...{ uid: old?.uid ?? uid, gid: old?.gid ?? uid, mtimeMs: Date.now() },
    }
    this.#put(place, file)
    return file
  }

  /** Puts a node in place of whatever is no directory, a symbolic link included. @throws Errno EXDEV when it leaves `base` */
  place(path: string, node: MemoryNode, base: string | undefined): void {
    this.#put(this.#locate(path, { follow: false, base }), node)
  }

  rename(from: string, to: string): void {
    const source = this.#existing(from)
    const target = this.#locate(to, { follow: false })
    const old = target.node
    if (old === source.node) return
    if (target.parent === null || this.#mounts.has(source.path)) throw new Errno('EBUSY', to)
    this.#refuseReadOnly(source.path)
    this.#refuseReadOnly(target.path)
    if (`${target.path}/`.startsWith(`${source.path}/`)) throw new Errno('EINVAL', from)
    if (old !== undefined && (old.type === 'directory') !== (source.node.type === 'directory'))
      throw new Errno(old.type === 'directory' ? 'EISDIR' : 'ENOTDIR', to)
    if (old?.type === 'directory' && old.children.size > 0) throw new Errno('ENOTEMPTY', to)
    source.parent.children.delete(source.name)
    target.parent.children.set(target.name, source.node)
    this.#tell({ type: 'rename', path: source.path, target: target.path, node: source.node })
  }

  remove(path: string, recursive: boolean): void {
    const place = this.#existing(path)
    const { node } = place
    this.#refuseReadOnly(place.path)
    if (node.type === 'directory' && node.children.size > 0 && !recursive) throw new Errno('ENOTEMPTY', path)
    if (node.type === 'directory')
      for (const name of node.children.keys()) this.remove(`${place.path}/${name}`, true)
    if (this.#mounts.has(place.path)) throw new Errno('EBUSY', path)
    place.parent.children.delete(place.name)
    this.#tell({ type: 'remove', path: place.path, node })
  }

  /** Changes the mode or the owner. */
  change(path: string, values: Partial<Pick<Common, 'mode' | 'uid' | 'gid'>>): void {
    const { node, path: canonical } = this.#locate(path, { follow: true })
    if (node === undefined) throw new Errno('ENOENT', path)
    this.#refuseReadOnly(canonical)
    Object.assign(node, values)
    this.#tell({ type: 'chmod', path: canonical, node })
  }

  #existing(path: string): Place & { parent: MemoryDirectory; node: MemoryNode } {
    const { node, parent, ...place } = this.#locate(path, { follow: false })
    if (node === undefined) throw new Errno('ENOENT', path)
    if (parent === null) throw new Errno('EBUSY', path)
    return { ...place, node, parent }
  }

  #refuseReadOnly(path: string): void {
    for (const [at, { readOnly }] of this.#mounts)
      if (readOnly && `${path}/`.startsWith(`${at}/`)) throw new Errno('EROFS', path)
  }

  #put(place: Place, node: MemoryNode): void {
    if (place.parent === null || place.node?.type === 'directory') throw new Errno('EISDIR', place.path)
    this.#refuseReadOnly(place.path)
    place.parent.children.set(place.name, node)
    // What is replaced as a whole comes as something new.
    this.#tell({ type: 'create', path: place.path, node })
  }

  #tell(change: TreeChange): void {
    for (const listener of this.#listeners) listener(change)
  }

  #locate(path: string, { follow, base }: Lookup): Place {
    const trail = new Trail(this.#root)
    if (base !== undefined) trail.startAt(this.#locate(base, { follow: true }), base)
    const todo = trail.components(path)
    for (let links = 0; todo.length > 0; ) {
      const name = todo.shift() as string
      const node = trail.directory.children.get(name)
      const isLast = todo.length === 0
      if (name === '..') trail.leave(path)
      else if (node === undefined && !isLast) throw new Errno('ENOENT', path)
      else if (node?.type === 'symlink' && (!isLast || follow)) {
        if (++links > MAX_LINKS) throw new Errno('ELOOP', path)
        todo.unshift(...trail.components(node.link))
      } else if (node?.type === 'directory') trail.enter(name, node)
      else if (isLast) return { parent: trail.directory, name, path: trail.pathOf(name), node }
      else throw new Errno('ENOTDIR', path)
    }
    return trail.here
  }
}
