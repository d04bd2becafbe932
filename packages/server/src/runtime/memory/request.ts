import type { Fields } from '@caisson/protocol/frame-codec'
import { Field } from '@caisson/protocol/frames'
import type { Ports } from './dial.ts'
import type { MemoryTree } from './tree.ts'
import type { MemoryUser } from './users.ts'

/** What was received of each resumable upload, by path and name. */
export type Uploads = Map<string, Uint8Array>

/** What file requests work on. */
export interface Files {
  tree: MemoryTree
  uploads: Uploads
  ports: Ports
}

/** One request with its path and user looked up. */
export interface FileRequest extends Files {
  path: string
  user: MemoryUser
  fields: Fields
}

/** undefined: the request is for the file itself. */
export function uploadKey({ path, fields: request }: FileRequest): string | undefined {
  const name = request.string(Field.RESUME)
  return name === undefined ? undefined : `${path}\0${name}`
}

export function absolute(path: string, home: string): string {
  return path.startsWith('/') ? path : `${home}/${path}`
}
