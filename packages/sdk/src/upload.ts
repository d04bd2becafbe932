import { SandboxError } from '@caisson/protocol/errors'
import type { Client } from './client.ts'
import type { InputOf, OutputOf } from './contract.ts'
import { isBreak, pause, RETRY_DELAYS } from './follow.ts'
import { Pieces } from './pieces.ts'
import { bytesOf, type Source } from './stdin.ts'

/** Text, bytes, a blob or a stream; or a function that gives what comes from an offset on, as often as it is asked. */
export type FileSource = Source | ((offset: number) => Source | Promise<Source>)

/** How far a transfer has come, in bytes. After a broken connection `bytes` may be less than before. */
export interface Progress {
  bytes: number
  /** undefined: not known. */
  total: number | undefined
}

/** A source of known size that can be read again. */
export interface Resumable {
  size: number
  from(offset: number): Source | Promise<Source>
}

/** How an upload is cut, told of and ended. */
export interface UploadOptions {
  partSize?: number | undefined
  onProgress?: ((progress: Progress) => void) | undefined
  signal?: AbortSignal | undefined
}

type Target = Omit<InputOf<'putUpload'>, 'upload' | 'offset' | 'size'> & { path: string }

const PART = 64 * 1_048_576
/** Where a request's body must be gathered before it is sent. */
const GATHERED_PART = 8 * 1_048_576

/** The source as one that can be read again; undefined when it cannot, or when nobody knows its size. */
export function resumable(source: FileSource, size: number | undefined): Resumable | undefined {
  if (typeof source === 'function')
    return size === undefined ? undefined : { size, from: (offset) => source(offset) }
  if (typeof source === 'string') return resumable(new TextEncoder().encode(source), undefined)
  if (source instanceof Uint8Array) return { size: source.length, from: (offset) => source.subarray(offset) }
  if (source instanceof Blob) return { size: source.size, from: (offset) => source.slice(offset) }
  return undefined
}

/**
 * Sends a file in parts. After a broken connection or a restart of the server it goes on where the server's own
 * count says; the file takes its place with the last byte.
 *
 * @throws SandboxError what the server says, or `connection_lost` when no new try has helped
 */
export async function uploadInParts(
  client: Client,
  target: Target,
  source: Resumable,
  options: UploadOptions,
): Promise<OutputOf<'writeFile'>> {
  const upload = new Upload(client, target, source, options)
  try {
    for (let tries = 0; ; tries++) {
      const before = upload.offset
      try {
        return await upload.send()
      } catch (error) {
        if (upload.offset > before) tries = 0
        if (!isBreak(error) && !SandboxError.is(error, 'upload_offset')) throw error
        if (tries >= RETRY_DELAYS.length) throw error
        await pause(RETRY_DELAYS[tries]!, options.signal)
      }
    }
  } catch (error) {
    await upload.giveUp(error)
    throw error
  }
}

class Upload {
  /** Bytes that the server is known to hold. */
  offset = 0
  readonly #client: Client
  readonly #source: Resumable
  readonly #options: UploadOptions
  readonly #input: Target & { upload: string; size: number }
  readonly #directories = new Set<string>()
  #begun = false

  constructor(client: Client, target: Target, source: Resumable, options: UploadOptions) {
    this.#client = client
    this.#source = source
    this.#options = options
    this.#input = { ...target, upload: crypto.randomUUID(), size: source.size }
  }

  /** Sends all that is missing. */
  async send(): Promise<OutputOf<'writeFile'>> {
    const { signal } = this.#options
    if (this.#begun) {
      const { id, upload, path, user } = this.#input
      this.offset = (await this.#client.call('getUpload', { id, upload, path, user }, { signal })).offset
    }
    this.#begun = true
    const pieces = new Pieces(bytesOf(await this.#source.from(this.offset)))
    try {
      const size = await this.#partSize()
      for (;;) {
        const file = await this.#part(pieces, Math.min(size, this.#input.size - this.offset))
        if (file) return { ...file, directoriesCreated: [...this.#directories] }
      }
    } finally {
      pieces.close()
    }
  }

  /** What was kept is of no use to anybody; where the server cannot be reached, it forgets by itself. */
  async giveUp(error: unknown): Promise<void> {
    if (isBreak(error)) return
    const { id, upload, path, user } = this.#input
    await this.#client.call('deleteUpload', { id, upload, path, user }).catch(() => {})
  }

  async #part(pieces: Pieces, length: number): Promise<OutputOf<'putUpload'>['file']> {
    const { signal, onProgress } = this.#options
    const start = this.offset
    const body = pieces.take(length, (sent) => onProgress?.({ bytes: start + sent, total: this.#input.size }))
    const answer = await this.#client.upload('putUpload', { ...this.#input, offset: start }, body, {
      signal,
      length,
    })
    for (const directory of answer.directoriesCreated) this.#directories.add(directory)
    this.offset = answer.offset
    const { path, size } = this.#input
    if (!answer.complete && (answer.offset !== start + length || answer.offset === size))
      throw new SandboxError('upload_offset', { path, offset: answer.offset })
    return answer.file
  }

  async #partSize(): Promise<number> {
    return this.#options.partSize ?? ((await this.#client.streamsUploads()) ? PART : GATHERED_PART)
  }
}
