import { parseAddress } from '../core/network/address.ts'
import { canonicalName } from '../core/network/name.ts'
import { Refusal } from './refusal.ts'

/** Bytes within which a client must have said whom it wants; those with post-quantum keys take about 1700. */
export const MAX_HELLO = 16 * 1024
/** Records over which one may spread it. */
const MAX_RECORDS = 64

const HANDSHAKE = 22
const CLIENT_HELLO = 1
const SERVER_NAME = 0
const HOST_NAME = 0

/**
 * Reads whom a TLS client wants from the first bytes it sent (RFC 8446 4.1.2, RFC 6066 3). Pure: the bytes may stop anywhere.
 * @returns the canonical name, or how many bytes there must be, counted from the first, before it is worth asking again
 * @throws Refusal, and nothing else whatever the bytes are
 */
export function readServerName(bytes: Uint8Array): { name: string } | { need: number } {
  const hello = collectHandshake(bytes)
  if ('need' in hello) {
    if (hello.need > MAX_HELLO) throw malformed(`it does not end within ${MAX_HELLO} bytes`)
    return hello
  }
  const name = findServerName(new Cursor(hello.body))
  if (name === null) {
    throw new Refusal(
      'TLS without a name',
      'The TLS connection names no host (SNI). Rules by name are in force, so HTTPS must name its host: use the name instead of an address, or allow the address itself.',
    )
  }
  return { name: canonical(name) }
}

/** Joins the records over which the hello is spread; it must end where a record ends. */
function collectHandshake(bytes: Uint8Array): { body: Uint8Array } | { need: number } {
  const parts: Uint8Array[] = []
  let at = 0
  let joined = 0
  for (let records = 0; records < MAX_RECORDS; records++) {
    if (at < bytes.length && bytes[at] !== HANDSHAKE) throw notTls(parts.length > 0)
    if (at + 1 < bytes.length && bytes[at + 1] !== 3) throw notTls(parts.length > 0)
    if (bytes.length < at + 5) return { need: at + 5 }
    const length = u16(bytes, at + 3)
    if (length === 0 || length > 16_384) throw malformed('a record has a length that none may have')
    if (bytes.length < at + 5 + length) return { need: at + 5 + length }
    parts.push(bytes.subarray(at + 5, at + 5 + length))
    at += 5 + length
    joined += length
    if (joined < 4) continue
    const body = parts.length === 1 ? parts[0]! : Buffer.concat(parts, joined)
    if (body[0] !== CLIENT_HELLO) throw malformed('the first message is no ClientHello')
    const end = 4 + ((body[1]! << 16) | u16(body, 2))
    if (end > MAX_HELLO) throw malformed(`it does not end within ${MAX_HELLO} bytes`)
    if (joined > end) throw malformed('something follows it in its record')
    if (joined === end) return { body: body.subarray(4) }
  }
  throw malformed('it is spread over too many records')
}

function findServerName(hello: Cursor): string | null {
  hello.skip(2 + 32) // version, random
  if (hello.vector(1).left > 32) throw malformed('its session id is too long')
  const ciphers = hello.vector(2).left
  if (ciphers === 0 || ciphers % 2 !== 0) throw malformed('its list of ciphers is not one')
  if (hello.vector(1).left === 0) throw malformed('its list of compressions is empty')
  if (hello.left === 0) return null
  const extensions = hello.vector(2)
  hello.end()
  const seen = new Set<number>()
  let name: string | null = null
  while (extensions.left > 0) {
    const type = extensions.u16()
    const body = extensions.vector(2)
    if (seen.has(type)) throw malformed('it has an extension twice')
    seen.add(type)
    if (type === SERVER_NAME) name = readHostName(body)
  }
  return name
}

function readHostName(extension: Cursor): string {
  const list = extension.vector(2)
  extension.end()
  if (list.u8() !== HOST_NAME) throw malformed('its name is of a type that nobody knows')
  const name = list.vector(2).bytes()
  if (list.left > 0) throw malformed('it names several hosts')
  return Buffer.from(name).toString('latin1')
}

/** RFC 6066 has names as DNS writes them, without a trailing dot, and never addresses. */
function canonical(name: string): string {
  const address = parseAddress(name)
  if (address !== null) {
    throw new Refusal(
      'TLS without a name',
      'The TLS connection names an address as its host. Rules by name are in force, so HTTPS must name its host: use the name, or allow the address itself.',
    )
  }
  const found = /^[\x21-\x7e]+$/.test(name) && !name.endsWith('.') ? canonicalName(name) : null
  if (found === null) throw malformed('the name in it is no host name')
  return found
}

/** Reads numbers and vectors with a length before them, never past the end. */
class Cursor {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    return this.#take(1)[0]!
  }

  u16(): number {
    return u16(this.#take(2), 0)
  }

  skip(length: number): void {
    this.#take(length)
  }

  /** What follows its own length, a number of so many bytes. */
  vector(width: 1 | 2): Cursor {
    return new Cursor(this.#take(width === 1 ? this.u8() : this.u16()))
  }

  bytes(): Uint8Array {
    return this.#take(this.left)
  }

  end(): void {
    if (this.left > 0) throw malformed('a length in it is wrong')
  }

  #take(length: number): Uint8Array {
    if (length > this.left) throw malformed('a length in it is wrong')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

function notTls(begun: boolean): Refusal {
  if (begun) return malformed('something else comes before its end')
  return new Refusal(
    'not TLS',
    'What was sent to port 443 is not TLS. Rules by name are in force, so port 443 is for HTTPS: allow the address itself to speak something else there.',
    { malformed: true },
  )
}

function malformed(what: string): Refusal {
  return new Refusal('malformed TLS', `The ClientHello is malformed: ${what}.`, { malformed: true })
}
