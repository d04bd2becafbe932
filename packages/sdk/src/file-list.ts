import type { CreateSandbox } from '@caisson/protocol/resources'
import { toBase64 } from './stdin.ts'

/** As the API takes files: text as it is, bytes as base64. */
type FileList = NonNullable<CreateSandbox['files']>

/** Paths and what they hold; or a list, where a file has a mode or comes as base64. */
export type FilesToCreate =
  | Record<string, string | Uint8Array>
  | { path: string; content: string | Uint8Array; encoding?: 'utf8' | 'base64'; mode?: number }[]

export function fileList(files: FilesToCreate): FileList {
  const list = Array.isArray(files)
    ? files
    : Object.entries(files).map(([path, content]) => ({ path, content }))
  return list.map(({ content, ...file }) =>
    typeof content === 'string'
      ? { ...file, content }
      : { ...file, content: toBase64(content), encoding: 'base64' },
  )
}
