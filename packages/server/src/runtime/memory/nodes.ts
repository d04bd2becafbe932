import type { Fields } from '@caisson/protocol/frame-codec'
import { Field } from '@caisson/protocol/frames'

export interface Common {
  mode: number
  uid: number
  gid: number
  mtimeMs: number
  /** Attributes by their whole name. */
  attributes?: Map<string, string>
}
export interface MemoryFile extends Common {
  type: 'file'
  data: Uint8Array
}
export interface MemoryDirectory extends Common {
  type: 'directory'
  children: Map<string, MemoryNode>
}
export interface MemoryLink extends Common {
  type: 'symlink'
  link: string
}
export type MemoryNode = MemoryFile | MemoryDirectory | MemoryLink

export function newDirectory(mode: number, uid: number): MemoryDirectory {
  return { type: 'directory', children: new Map(), mode, uid, gid: uid, mtimeMs: Date.now() }
}

/** To the owner that a request names for what it makes, if it does. */
export function giveAway(node: MemoryNode, request: Fields): void {
  node.uid = request.u64(Field.UID) ?? node.uid
  node.gid = request.u64(Field.GID) ?? node.gid
}

/** Sets and removes what a request says. */
export function changeAttributes(node: MemoryNode, request: Fields): void {
  node.attributes ??= new Map()
  for (const text of request.strings(Field.XATTR)) {
    const end = text.indexOf('\0')
    node.attributes.set(text.slice(0, end), text.slice(end + 1))
  }
  for (const name of request.strings(Field.REMOVED)) node.attributes.delete(name)
}
