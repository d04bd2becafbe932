import { SandboxError } from '@caisson/protocol/errors'
import type { CallOptions, Client } from './client.ts'
import type { OutputOf } from './contract.ts'
import { Pieces } from './pieces.ts'
import { bytesOf } from './stdin.ts'
import { type FileSource, type Progress, type Resumable, resumable, uploadInParts } from './upload.ts'

/** Sources beyond this are sent in parts, so that a broken connection does not cost all that was sent. */
const RESUMABLE_FROM = 8 * 1_048_576

/** How a file is written. */
export interface WriteOptions extends CallOptions {
  /** Name or uid; default "agent". */
  user?: string | undefined
  /** Permission bits, such as 0o755. */
  mode?: number | undefined
  /** Make missing parent directories; default true. */
  parents?: boolean | undefined
  /** SHA-256 of the content, hexadecimal: a mismatch leaves the old file and throws `checksum_mismatch`. */
  sha256?: string | undefined
  /**
   * Send in parts, and go on after a broken connection or a restart of the server. Default: when the source is a
   * function, or is larger than 8 MiB and can be read again. A stream cannot: it fails with `connection_lost`.
   */
  resumable?: boolean | undefined
  /** Bytes of the content, needed where the source is a function. */
  size?: number | undefined
  /** Bytes of a part; default 64 MiB. */
  partSize?: number | undefined
  /** Called as bytes leave. */
  onProgress?: ((progress: Progress) => void) | undefined
}

/** Writes a file in one request, or in parts when that is asked for or pays. */
export async function writeFile(
  client: Client,
  file: { id: string; path: string },
  content: FileSource,
  options: WriteOptions,
): Promise<OutputOf<'writeFile'>> {
  const { signal, resumable: wanted, size, partSize, onProgress, ...rest } = options
  const target = { ...file, ...rest }
  const again = resumable(content, size)
  if (again && (wanted ?? (typeof content === 'function' || again.size > RESUMABLE_FROM)))
    return uploadInParts(client, target, again, { partSize, onProgress, signal })
  if (typeof content === 'function' && !again) throw needsSize()
  const { upload, length } = await wholeBody(content, again, onProgress)
  return client.upload('writeFile', target, upload, { signal, length })
}

/** The body of one request, and its length where that is known. */
async function wholeBody(
  content: FileSource,
  again: Resumable | undefined,
  onProgress: WriteOptions['onProgress'],
): Promise<{ upload: string | Uint8Array | AsyncIterable<Uint8Array>; length?: number }> {
  if (!onProgress && (typeof content === 'string' || content instanceof Uint8Array))
    return { upload: content }
  const total = again?.size
  const taken = (bytes: number) => onProgress?.({ bytes, total })
  const pieces = new Pieces(bytesOf(typeof content === 'function' ? await content(0) : content))
  return total === undefined
    ? { upload: pieces.all(taken) }
    : { upload: pieces.take(total, taken), length: total }
}

function needsSize(): SandboxError {
  const message = 'A source that is a function needs its size.'
  return new SandboxError('invalid_request', { issues: [{ path: 'size', message }] })
}
