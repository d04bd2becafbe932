export interface Common {
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
export interface MemoryLink extends Common {
  type: 'symlink'
  link: string
}
export type MemoryNode = MemoryFile | MemoryDirectory | MemoryLink

export function newDirectory(mode: number, uid: number): MemoryDirectory {
  return { type: 'directory', children: new Map(), mode, uid, gid: uid, mtimeMs: Date.now() }
}
