import { Refused } from './errors.ts'

/**
 * `multipart/form-data` (RFC 7578, RFC 2046) as it comes, a part at a time, in memory that does not grow with it. What
 * is read is whatever a client sends: every length is bounded.
 */

/** A part of a form. `data` must be read before the next part is asked for; what is left of it is passed over. */
export interface Part {
  name: string | null
  /** As it was sent, directories included; null: there is none. */
  filename: string | null
  data: AsyncIterable<Uint8Array>
}

/** RFC 2046, 5.1.1: one to 70 characters of these. */
const BOUNDARY = /^[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]$/
const MAX_HEAD = 16 * 1024
const MAX_PARTS = 10_000
/** What may stand before the first boundary, and between one and the end of its line. */
const MAX_IDLE = 4096
const CRLF = Buffer.from('\r\n')
const HEAD_END = Buffer.from('\r\n\r\n')

/** @returns null: it is no form. @throws Refused 400 for one without a proper boundary */
export function boundaryOf(contentType: string | undefined): string | null {
  const [type = '', ...parameters] = splitParameters(contentType ?? '')
  if (type.toLowerCase() !== 'multipart/form-data') return null
  const boundary = parameterOf(parameters, 'boundary')
  if (boundary === null || !BOUNDARY.test(boundary)) throw malformed('its boundary is missing or not valid')
  return boundary
}

/** @throws Refused 400 for what is no form, at the first read that meets it */
export async function* partsOf(body: AsyncIterable<Uint8Array>, boundary: string): AsyncGenerator<Part> {
  const input = new Input(body)
  try {
    const delimiter = Buffer.from(`\r\n--${boundary}`)
    // The first boundary stands at the very beginning, or behind something that is nobody's.
    input.unread(CRLF)
    if ((await input.until(delimiter, MAX_IDLE)) === null) throw malformed('it has no beginning')
    for (let parts = 0; !(await isLast(input)); parts++) {
      if (parts === MAX_PARTS) throw malformed(`it has more than ${MAX_PARTS} parts`)
      // A part without headers begins with the empty line.
      input.unread(CRLF)
      const head = await input.until(HEAD_END, MAX_HEAD)
      if (head === null) throw malformed('the headers of a part have no end or are too long')
      const part = { ended: false }
      yield { ...readHead(head), data: contentsOf(input, delimiter, part) }
      // Whoever was given it may have left it.
      if (!part.ended) for await (const _ of contentsOf(input, delimiter, part));
    }
  } finally {
    await input.leave()
  }
}

/** What follows a boundary: `--` behind the last, else the end of the line. */
async function isLast(input: Input): Promise<boolean> {
  const rest = await input.until(CRLF, MAX_IDLE)
  if (rest !== null) {
    if (rest.toString('latin1').startsWith('--')) return true
    if (/^[ \t]*$/.test(rest.toString('latin1'))) return false
  } else if (input.waiting.toString('latin1').startsWith('--')) return true
  throw malformed('a boundary has no end')
}

async function* contentsOf(
  input: Input,
  delimiter: Buffer,
  part: { ended: boolean },
): AsyncGenerator<Uint8Array> {
  for (;;) {
    const end = input.waiting.indexOf(delimiter)
    if (end >= 0) {
      part.ended = true
      const last = input.take(end)
      input.take(delimiter.length)
      if (last.length > 0) yield last
      return
    }
    // The end of what waits may be the beginning of a boundary.
    const safe = input.waiting.length - delimiter.length + 1
    if (safe > 0) yield input.take(safe)
    if (!(await input.more())) throw malformed('it ends within a part')
  }
}

/** Reads ahead a little. */
class Input {
  waiting: Buffer = Buffer.alloc(0)
  readonly #pieces: AsyncIterator<Uint8Array>

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#pieces = body[Symbol.asyncIterator]()
  }

  /** @returns false at the end. */
  async more(): Promise<boolean> {
    const { done, value } = await this.#pieces.next()
    if (done) return false
    const piece = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    this.waiting = this.waiting.length === 0 ? piece : Buffer.concat([this.waiting, piece])
    return true
  }

  take(length: number): Buffer {
    const taken = this.waiting.subarray(0, length)
    this.waiting = this.waiting.subarray(length)
    return taken
  }

  unread(bytes: Buffer): void {
    this.waiting = Buffer.concat([bytes, this.waiting])
  }

  /** Takes what stands before `end`, and that; null when that is not among the next `limit` bytes. */
  async until(end: Buffer, limit: number): Promise<Buffer | null> {
    for (;;) {
      const at = this.waiting.subarray(0, limit + end.length).indexOf(end)
      if (at >= 0) {
        const found = this.take(at)
        this.take(end.length)
        return found
      }
      if (this.waiting.length >= limit + end.length || !(await this.more())) return null
    }
  }

  async leave(): Promise<void> {
    await this.#pieces.return?.()
  }
}

function readHead(head: Buffer): { name: string | null; filename: string | null } {
  const text = head.toString('utf8')
  const line = text.split('\r\n').find((each) => /^content-disposition[ \t]*:/i.test(each))
  const [type = '', ...parameters] = splitParameters(line?.slice(line.indexOf(':') + 1) ?? '')
  if (type.toLowerCase() !== 'form-data') throw malformed('a part has no Content-Disposition: form-data')
  const filename = parameterOf(parameters, 'filename')
  const plain = filename === null ? null : unescaped(filename)
  return { name: parameterOf(parameters, 'name'), filename: extended(parameters) ?? plain }
}

/** What stands before the first semicolon, and then each parameter; semicolons in quotes do not count. */
function splitParameters(header: string): string[] {
  return (header.match(/(?:[^;"]|"(?:\\["\\]|[^"])*"?)+/g) ?? []).map((each) => each.trim())
}

/** The value of a parameter; null: it is not there. A backslash that escapes neither itself nor a quote is a character. */
function parameterOf(parameters: readonly string[], name: string): string | null {
  for (const parameter of parameters) {
    const at = parameter.indexOf('=')
    if (at < 0 || parameter.slice(0, at).trim().toLowerCase() !== name) continue
    const value = parameter.slice(at + 1).trim()
    const [, quoted] = /^"(.*)"$/s.exec(value) ?? []
    return quoted === undefined ? value : quoted.replaceAll(/\\(["\\])/g, '$1')
  }
  return null
}

/** What browsers and their like write for a quote and the ends of lines (HTML standard, multipart/form-data encoding). */
function unescaped(filename: string): string {
  return filename.replaceAll('%22', '"').replaceAll(/%0D/gi, '\r').replaceAll(/%0A/gi, '\n')
}

/** A file name of RFC 5987, which some clients send beside the other. */
function extended(parameters: readonly string[]): string | null {
  const [, encoded] = /^utf-8'[^']*'(.*)$/is.exec(parameterOf(parameters, 'filename*') ?? '') ?? []
  try {
    return encoded === undefined ? null : decodeURIComponent(encoded)
  } catch {
    return null
  }
}

function malformed(reason: string): Refused {
  return new Refused(400, `The form is not valid: ${reason}`)
}
