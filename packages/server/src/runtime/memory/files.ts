import { type FieldBuilder, type Fields, fields } from '@caisson/protocol/frame-codec'
import { Field, FrameType } from '@caisson/protocol/frames'
import { Dialling } from './dial.ts'
import { Errno } from './errno.ts'
import { changeAttributes, giveAway } from './nodes.ts'
import { absolute, type FileRequest, type Files, uploadKey } from './request.ts'
import { describedFields, statFields } from './stat.ts'
import type { Stream, Transfer } from './stream.ts'
import { Reading, Writing } from './transfers.ts'
import { TreeReading } from './tree-reading.ts'
import { TreeWriting } from './tree-writing.ts'
import { findUser } from './users.ts'
import { Watching } from './watching.ts'

/** Answers one request other than those of executions. @returns the transfer that it opened, if any. @throws Errno */
export function serveFile(files: Files, stream: Stream, type: number, request: Fields): Transfer | null {
  if (type === FrameType.DIAL) return new Dialling(files.ports, stream, request.u64(Field.PORT) ?? 0)
  const user = findUser(request.string(Field.USER))
  const path = absolute(request.string(Field.PATH) ?? '', user.home)
  const asked: FileRequest = { ...files, path, user, fields: request }
  const open = TRANSFERS.get(type)
  if (open !== undefined) return open(stream, asked)
  const answer = answerTo(type, asked)
  if (answer === null) list(asked, stream)
  else stream.end(FrameType.OK, answer)
  return null
}

const TRANSFERS: ReadonlyMap<number, (stream: Stream, asked: FileRequest) => Transfer> = new Map<
  number,
  (stream: Stream, asked: FileRequest) => Transfer
>([
  [FrameType.FILE_READ, (stream, asked) => new Reading(stream, asked)],
  [FrameType.FILE_WRITE, (stream, asked) => new Writing(stream, asked)],
  [FrameType.FILE_WATCH, (stream, asked) => new Watching(stream, asked)],
  [FrameType.TREE_READ, (stream, asked) => new TreeReading(stream, asked)],
  [FrameType.TREE_WRITE, (stream, asked) => new TreeWriting(stream, asked)],
])

/** The answer to a request that is answered at once; null for a listing, which is answered by entries. */
function answerTo(type: number, asked: FileRequest): FieldBuilder | null {
  const { tree, path, user, fields: request } = asked
  switch (type) {
    case FrameType.FILE_STAT:
      return stat(asked)
    case FrameType.FILE_LIST:
      return null
    case FrameType.FILE_MKDIR: {
      const parents = request.u64(Field.PARENTS) === 1
      const made = tree.mkdir(path, request.u64(Field.MODE) ?? 0o755, user.uid, parents)
      for (const directory of made) giveAway(tree.find(directory), request)
      return fields().strings(Field.CREATED, made)
    }
    case FrameType.FILE_RENAME:
      tree.rename(path, absolute(request.string(Field.TARGET) ?? '', user.home))
      return fields()
    case FrameType.FILE_REMOVE:
      remove(asked)
      return fields()
    case FrameType.FILE_CHMOD:
      tree.change(path, { mode: request.u64(Field.MODE) ?? 0 })
      return fields()
    case FrameType.FILE_CHOWN:
      chown(asked)
      return fields()
    case FrameType.FILE_ATTRIBUTES:
      setAttributes(asked)
      return fields()
    default:
      throw new Errno('ENOSYS', `request ${type}`)
  }
}

function stat({ tree, path, fields: request }: FileRequest): FieldBuilder {
  const node = tree.find(path, request.u64(Field.FOLLOW) === 1)
  return request.u64(Field.ATTRIBUTES) === 1 ? describedFields(tree, path, node) : statFields(node)
}

function remove(asked: FileRequest): void {
  const key = uploadKey(asked)
  if (key === undefined) asked.tree.remove(asked.path, asked.fields.u64(Field.RECURSIVE) === 1)
  else if (!asked.uploads.delete(key)) throw new Errno('ENOENT', asked.path)
}

function chown({ tree, path, fields: request }: FileRequest): void {
  const { uid, gid } = tree.find(path)
  tree.change(path, { uid: request.u64(Field.UID) ?? uid, gid: request.u64(Field.GID) ?? gid })
}

function setAttributes({ tree, path, fields: request }: FileRequest): void {
  const node = tree.find(path)
  if (node.type === 'symlink') throw new Errno('EINVAL', path)
  changeAttributes(node, request)
  tree.change(path, {})
}

function list({ tree, path, fields: request }: FileRequest, stream: Stream): void {
  const attributes = request.u64(Field.ATTRIBUTES) === 1
  for (const [name, node] of tree.directory(path).children)
    stream.send(
      FrameType.ENTRY,
      (attributes ? describedFields(tree, `${path}/${name}`, node) : statFields(node)).string(
        Field.NAME,
        name,
      ),
    )
  stream.end(FrameType.END)
}
