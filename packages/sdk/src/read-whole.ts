import { SandboxError } from '@caisson/protocol/errors'
import { concat } from './transport/transport.ts'

/** Larger files are read by `stream()`: whoever wrote a file decided how large it is. */
const READ_LIMIT = 1_073_741_824

/** A file in memory. @throws SandboxError `payload_too_large` beyond 1 GiB */
export async function readWhole(path: string, stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of stream) {
    size += part.length
    if (size > READ_LIMIT)
      throw new SandboxError('payload_too_large', { what: `"${path}"`, limit: READ_LIMIT })
    parts.push(part)
  }
  return concat(parts)
}
