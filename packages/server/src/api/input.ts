import { isUtf8 } from 'node:buffer'
import type { z } from 'zod'
import { fromZod, invalid } from './errors.ts'

/** Bytes of a JSON body. */
export const JSON_LIMIT = 8 * 1024 * 1024
/** Bytes of a JSON body that may carry files. */
export const FILES_LIMIT = 64 * 1024 * 1024

/** @throws SandboxError `invalid_request` that names the fields. */
export function parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value)
  if (!result.success) throw fromZod(result.error)
  return result.data
}

/**
 * The query of a request target. Stricter than the library's: a parameter that comes twice and bytes that are not
 * UTF-8 are refused, because guessing would act on another path than the one that was meant.
 * @throws SandboxError `invalid_request`
 */
export function parseQuery(target: string): Record<string, string> {
  const query: Record<string, string> = Object.create(null)
  const mark = target.indexOf('?')
  if (mark < 0) return query
  for (const pair of target.slice(mark + 1).split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode(equals < 0 ? pair : pair.slice(0, equals))
    if (name in query) throw invalid(name, 'was given twice')
    query[name] = equals < 0 ? '' : decode(pair.slice(equals + 1))
  }
  return query
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw invalid('', 'the query is not valid percent-encoded UTF-8')
  }
}

type JsonParser = (text: string) => unknown

/**
 * A JSON body; an empty one counts as `{}`, so that operations whose fields are all optional need none.
 * @param fromText refuses keys that would reach an object's prototype.
 * @throws SandboxError `invalid_request`
 */
export function parseJson(bytes: Buffer, fromText: JsonParser): unknown {
  if (bytes.length === 0) return {}
  if (!isUtf8(bytes)) throw invalid('', 'the body is not UTF-8')
  try {
    return fromText(bytes.toString('utf8'))
  } catch (cause) {
    throw invalid('', 'the body is not valid JSON', cause)
  }
}

/**
 * The `Idempotency-Key` header: at most 255 visible ASCII characters.
 * @throws SandboxError `invalid_request`
 */
export function parseIdempotencyKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined
  if (typeof header === 'string' && /^[\x21-\x7e]{1,255}$/.test(header)) return header
  throw invalid('Idempotency-Key', 'must be 1 to 255 visible ASCII characters, given once')
}
