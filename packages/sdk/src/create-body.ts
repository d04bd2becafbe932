import type { CreateSandbox } from '@caisson/protocol/resources'
import type { CreateOptions } from './create-options.ts'
import { fileList } from './file-list.ts'

/** The body of a create request. */
export function createBody(options: CreateOptions): CreateSandbox {
  const { client: _client, signal: _signal, files, ...body } = options
  return files === undefined ? body : { ...body, files: fileList(files) }
}
