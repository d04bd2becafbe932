import { SandboxError } from '@caisson/protocol/errors'
import type { Client } from './client.ts'
import { concat } from './transport/transport.ts'

/** What can be sent to a program or a file: text, bytes, or anything that gives them piece by piece. */
export type Source =
  | string
  | Uint8Array
  | Blob
  | AsyncIterable<string | Uint8Array>
  | ReadableStream<string | Uint8Array>

/** Larger input is streamed beside the output and not put into the request. */
const INLINE_INPUT = 65_536

/** Input that travels in the request itself, which saves a round trip; undefined when it is to be streamed. */
export function inlineInput(source: Source): { input: string; inputEncoding: 'utf8' | 'base64' } | undefined {
  // Only whole characters survive JSON: a lone surrogate would change.
  if (typeof source === 'string' && source.length <= INLINE_INPUT && source.isWellFormed())
    return { input: source, inputEncoding: 'utf8' }
  if (source instanceof Uint8Array && source.length <= INLINE_INPUT)
    return { input: toBase64(source), inputEncoding: 'base64' }
  return undefined
}

export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let at = 0; at < bytes.length; at += 8192)
    binary += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(binary)
}

/** Bytes of any source, in the pieces in which they come. */
export async function* bytesOf(source: Source): AsyncGenerator<Uint8Array, void, undefined> {
  if (typeof source === 'string') yield new TextEncoder().encode(source)
  else if (source instanceof Uint8Array) yield source
  else {
    const stream = source instanceof Blob ? source.stream() : source
    for await (const piece of iterate(stream))
      yield typeof piece === 'string' ? new TextEncoder().encode(piece) : piece
  }
}

/** Some browsers cannot iterate a ReadableStream. */
async function* iterate(
  stream: AsyncIterable<string | Uint8Array> | ReadableStream<string | Uint8Array>,
): AsyncGenerator<string | Uint8Array, void, undefined> {
  if (Symbol.asyncIterator in stream) {
    yield* stream
    return
  }
  const reader = (stream as ReadableStream<string | Uint8Array>).getReader()
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value
  } finally {
    await reader.cancel()
  }
}

/** Pieces smaller than this are joined with those that follow at once: each costs a passage to the program. */
const SMALL = 16_384

/** Joins small pieces that come without a pause; one that comes alone waits a millisecond at most. */
async function* joined(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = pieces[Symbol.asyncIterator]()
  let next = iterator.next()
  try {
    for (let first = await next; !first.done; first = await next) {
      const parts = [first.value]
      let size = first.value.length
      next = iterator.next()
      const pause = afterThisTurn()
      while (size < SMALL) {
        const following = await Promise.race([next, pause])
        if (!following || following.done) break
        parts.push(following.value)
        size += following.value.length
        next = iterator.next()
      }
      yield concat(parts)
    }
  } finally {
    next.catch(() => {})
    // Not awaited: a source that is waiting for its next piece answers only then.
    void Promise.resolve(iterator.return?.()).catch(() => {})
  }
}

const afterThisTurn = (): Promise<undefined> => new Promise((resolve) => setTimeout(resolve, 0, undefined))

/** Bytes that a source may give before they are sent in one piece, where uploads are not streamed. */
const PIECE = 262_144

/**
 * Sends a source to an execution's stdin and closes it. A program that ends without reading everything is no error,
 * as a closed pipe is none to a shell.
 *
 * @throws SandboxError `connection_lost`: it is not known how much the program has taken, so nothing is sent again
 */
export async function pumpStdin(
  client: Client,
  execution: string,
  source: Source,
  signal?: AbortSignal,
): Promise<void> {
  try {
    if (await client.streamsUploads())
      await writeStdin(client, execution, joined(bytesOf(source)), true, signal)
    else {
      for await (const piece of joined(bytesOf(source)))
        for (let at = 0; at < piece.length; at += PIECE)
          await writeStdin(client, execution, piece.subarray(at, at + PIECE), false, signal)
      await writeStdin(client, execution, new Uint8Array(), true, signal)
    }
  } catch (error) {
    if (SandboxError.is(error, 'execution_ended')) return
    // A server that refuses the rest may close before its answer is read; the record tells.
    if (SandboxError.is(error, 'connection_lost') && (await hasEnded(client, execution))) return
    throw error
  }
}

export async function writeStdin(
  client: Client,
  execution: string,
  upload: Uint8Array | AsyncIterable<Uint8Array>,
  close: boolean,
  signal?: AbortSignal,
): Promise<void> {
  // Typed as a body of unknown length; an upload is never repeated, for bytes cannot be taken back.
  const once = upload instanceof Uint8Array ? single(upload) : upload
  const response = await client.open('writeStdin', { execution, close }, { upload: once, signal })
  for await (const _ of response.body);
}

async function* single(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes
}

async function hasEnded(client: Client, execution: string): Promise<boolean> {
  const record = await client.call('getExecution', { execution }).catch(() => undefined)
  return record?.state === 'ended'
}
