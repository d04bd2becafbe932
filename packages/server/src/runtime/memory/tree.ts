import { Errno } from './errno.ts'

interface Common {
  mode: number
  uid: number
  gid: number
  mtimeMs: number
}
export interface MemoryFile extends Common {
  type: 'file'
  data: Uint8Array
}
export interface MemoryDirectory extends Common {
  type: 'directory'
  children: Map<string, MemoryNode>
}
export type MemoryNode = MemoryFile | MemoryDirectory

/** Files and directories in memory. Modes and owners are recorded and never checked; there are no links. */
export class MemoryTree {
  readonly #root = newDirectory(0o755, 0)

  /** @throws Errno ENOENT, ENOTDIR */
  find(path: string): MemoryNode {
    let node: MemoryNode = this.#root
    for (const name of names(path)) {
      if (node.type !== 'directory') throw new Errno('ENOTDIR', path)
      const child = node.children.get(name)
      if (child === undefined) throw new Errno('ENOENT', path)
      node = child
    }
    return node
  }

  /** @throws Errno ENOTDIR and those of `find` */
  directory(path: string): MemoryDirectory {
    const node = this.find(path)
    if (node.type !== 'directory') throw new Errno('ENOTDIR', path)
    return node
  }

  /** Makes a directory. @returns the paths that were made, outermost first. */
  mkdir(path: string, mode: number, uid: number, parents: boolean): string[] {
    const parts = names(path)
    const made: string[] = []
    let node: MemoryDirectory = this.#root
    for (const [index, name] of parts.entries()) {
      const last = index === parts.length - 1
      const child = node.children.get(name)
      if (child !== undefined && last && !(parents && child.type === 'directory'))
        throw new Errno('EEXIST', path)
      if (child !== undefined && child.type !== 'directory') throw new Errno('ENOTDIR', path)
      if (child === undefined && !last && !parents) throw new Errno('ENOENT', path)
      const next: MemoryDirectory = child ?? newDirectory(last ? mode : 0o755, uid)
      if (child === undefined) made.push(`/${parts.slice(0, index + 1).join('/')}`)
      node.children.set(name, next)
      node = next
    }
    if (parts.length === 0 && !parents) throw new Errno('EEXIST', path)
    return made
  }

  /** Puts a file in place of what is there; a directory is not replaced. */
  write(path: string, data: Uint8Array, mode: number | undefined, uid: number): MemoryFile {
    const { parent, name } = this.#slot(path)
    const old = parent.children.get(name)
    if (old?.type === 'directory') throw new Errno('EISDIR', path)
    const file: MemoryFile = {
      ...{ type: 'file', data, mode: mode ?? old?.mode ?? 0o644 },
      ...{ uid: old?.uid ?? uid, gid: old?.gid ?? uid, mtimeMs: Date.now() },
    }
    parent.children.set(name, file)
    return file
  }

  rename(from: string, to: string): void {
    const node = this.find(from)
    const source = this.#slot(from)
    const target = this.#slot(to)
    const old = target.parent.children.get(target.name)
    if (old === node) return
    if (`${normal(to)}/`.startsWith(`${normal(from)}/`)) throw new Errno('EINVAL', from)
    if (old !== undefined && old.type !== node.type)
      throw new Errno(old.type === 'directory' ? 'EISDIR' : 'ENOTDIR', to)
    if (old?.type === 'directory' && old.children.size > 0) throw new Errno('ENOTEMPTY', to)
    source.parent.children.delete(source.name)
    target.parent.children.set(target.name, node)
  }

  remove(path: string, recursive: boolean): void {
    const node = this.find(path)
    const { parent, name } = this.#slot(path)
    if (node.type === 'directory' && node.children.size > 0 && !recursive) throw new Errno('ENOTEMPTY', path)
    parent.children.delete(name)
  }

  /** The directory of a path and the name in it. */
  #slot(path: string): { parent: MemoryDirectory; name: string } {
    const parts = names(path)
    const name = parts.pop()
    if (name === undefined) throw new Errno('EBUSY', path)
    return { parent: this.directory(`/${parts.join('/')}`), name }
  }
}

function newDirectory(mode: number, uid: number): MemoryDirectory {
  return { type: 'directory', children: new Map(), mode, uid, gid: uid, mtimeMs: Date.now() }
}

const normal = (path: string) => `/${names(path).join('/')}`

/** The names of an absolute path, `.` and `..` resolved. */
function names(path: string): string[] {
  const out: string[] = []
  for (const name of path.split('/')) {
    if (name === '..') out.pop()
    else if (name !== '' && name !== '.') out.push(name)
  }
  return out
}
