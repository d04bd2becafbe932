import { SandboxError } from '@caisson/protocol/errors'
import { TreeFailure } from '../../../guest/guest.ts'
import { plain } from '../printable.ts'
import { TarError } from '../tar/byte-reader.ts'

/** Something in an image is not as it must be. The message goes on from "The image … is refused:". */
export class ImageError extends Error {
  override name = 'ImageError'
}

/** The image's own fault as the error that says so; what failed here is told as it is. */
export function imageRefusal(image: string, error: unknown): unknown {
  const reason = reasonOf(error)
  if (reason === null) return error
  return new SandboxError('image_invalid', { image: plain(image), reason }, { cause: error })
}

function reasonOf(error: unknown): string | null {
  if (error instanceof ImageError) return plain(error.message)
  if (error instanceof TarError) return `an archive in it is damaged: ${plain(error.message)}`
  if (error instanceof SandboxError && error.cause instanceof TreeFailure)
    return `its entry "${plain(error.cause.entry)}" cannot be written: ${error.message}`
  if (error instanceof SandboxError) return null
  const { code, message } = error as { code?: unknown; message?: string }
  return isCompression(code) ? `a layer cannot be decompressed (${message})` : null
}

/** Of node:zlib. */
export function isCompression(code: unknown): boolean {
  return typeof code === 'string' && /^(ZSTD_|Z_|ERR_ZSTD|ERR_ZLIB)/.test(code)
}
