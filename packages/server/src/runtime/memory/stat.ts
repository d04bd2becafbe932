import { type FieldBuilder, fields } from '@caisson/protocol/frame-codec'
import { Field } from '@caisson/protocol/frames'
import { Errno } from './errno.ts'
import type { MemoryNode } from './nodes.ts'
import type { MemoryTree } from './tree.ts'
import { userName } from './users.ts'

/** `st_mode & S_IFMT` of each kind. */
export const TYPES = { file: 0o100000, directory: 0o040000, symlink: 0o120000 } as const

export function statFields(node: MemoryNode): FieldBuilder {
  const answer = fields()
    .u64(Field.FILE_TYPE, TYPES[node.type])
    .u64(Field.SIZE, sizeOf(node))
    .u64(Field.MODE, node.mode)
    .u64(Field.UID, node.uid)
    .u64(Field.GID, node.gid)
    .u64(Field.MTIME_NS, BigInt(Math.round(node.mtimeMs * 1000)) * 1000n)
  const owner = userName(node.uid)
  const group = userName(node.gid)
  if (owner !== undefined) answer.string(Field.OWNER, owner)
  if (group !== undefined) answer.string(Field.GROUP, group)
  return node.type === 'symlink' ? answer.string(Field.LINK, node.link) : answer
}

function sizeOf(node: MemoryNode): number {
  if (node.type === 'directory') return 0
  return node.type === 'file' ? node.data.length : Buffer.byteLength(node.link)
}

/** What is told when attributes were asked for. */
export function describedFields(tree: MemoryTree, path: string, node: MemoryNode): FieldBuilder {
  const answer = statFields(node)
  if (node.type === 'symlink') return resolvedFields(answer, tree, path)
  for (const [name, value] of node.attributes ?? []) answer.string(Field.XATTR, `${name}\0${value}`)
  return answer.u64(Field.SKIPPED, 0)
}

function resolvedFields(answer: FieldBuilder, tree: MemoryTree, path: string): FieldBuilder {
  try {
    const target = tree.find(path)
    return answer
      .string(Field.RESOLVED, tree.canonical(path))
      .u64(Field.RESOLVED_TYPE, TYPES[target.type])
      .u64(Field.RESOLVED_MODE, target.mode)
  } catch (error) {
    if (error instanceof Errno) return answer
    throw error
  }
}
