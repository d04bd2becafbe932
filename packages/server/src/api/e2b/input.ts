import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { SandboxError } from '@caisson/protocol/errors'
import type { z } from 'zod'
import { JSON_LIMIT, parse, parseJson } from '../input.ts'
import { piecesOf } from '../pieces.ts'
import { Refused } from './errors.ts'

/**
 * The body of a request. A client that waits for leave to send gets it with the first read, when nothing speaks against
 * the body any more.
 * @throws Refused 415 at the first read for an encoding other than gzip
 */
export function bodyOf(request: IncomingMessage, response: ServerResponse): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => {
      const coding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
      if (coding !== 'identity' && coding !== 'gzip')
        throw new Refused(415, `Content-Encoding ${coding} is not understood; gzip is`)
      if (request.headers.expect !== undefined) response.writeContinue()
      const raw = piecesOf(request)
      return coding === 'gzip' ? gunzip(raw) : raw
    },
  }
}

async function* gunzip(raw: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = Readable.from(raw, { objectMode: false })
  // Its failure comes out of the iteration.
  const inflated = pipeline(source, createGunzip(), () => {})
  try {
    yield* inflated
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code?.startsWith('Z_'))
      throw new Refused(400, 'the body is not valid gzip', {}, { cause })
    throw cause
  }
}

/** @throws SandboxError `payload_too_large` */
export async function gather(body: AsyncIterable<Uint8Array>, limit: number): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of body) {
    bytes += piece.length
    if (bytes > limit) throw new SandboxError('payload_too_large', { limit, what: 'The body' })
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

/** A JSON body; an empty one counts as `{}`. @throws SandboxError `invalid_request`, `payload_too_large` */
export async function readJson<S extends z.ZodType>(
  schema: S,
  body: AsyncIterable<Uint8Array>,
  limit = JSON_LIMIT,
): Promise<z.output<S>> {
  return parse(schema, parseJson(await gather(body, limit), fromJson))
}

/** JSON without keys that would reach an object's prototype. */
export function fromJson(text: string): unknown {
  // Looking at each key costs more than parsing, and there are next to none that need it.
  if (!text.includes('__proto__') && !text.includes('\\u')) return JSON.parse(text)
  return JSON.parse(text, (key, value) => {
    if (key === '__proto__') throw new SyntaxError('the key __proto__ is not taken')
    return value
  })
}
