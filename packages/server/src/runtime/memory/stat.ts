import { type FieldBuilder, fields } from '@caisson/protocol/frame-codec'
import { Field } from '@caisson/protocol/frames'
import type { MemoryNode } from './nodes.ts'
import { userName } from './users.ts'

/** `st_mode & S_IFMT` of each kind. */
export const TYPES = { file: 0o100000, directory: 0o040000, symlink: 0o120000 } as const

/** @param attributes whether these are told, too */
export function statFields(node: MemoryNode, attributes = false): FieldBuilder {
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
  if (node.type === 'symlink') return answer.string(Field.LINK, node.link)
  return attributes ? attributeFields(answer, node) : answer
}

function sizeOf(node: MemoryNode): number {
  if (node.type === 'directory') return 0
  return node.type === 'file' ? node.data.length : Buffer.byteLength(node.link)
}

function attributeFields(answer: FieldBuilder, { attributes = new Map() }: MemoryNode): FieldBuilder {
  for (const [name, value] of attributes) answer.string(Field.XATTR, `${name}\0${value}`)
  return answer.u64(Field.SKIPPED, 0)
}
