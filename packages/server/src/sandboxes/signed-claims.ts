import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/**
 * A token for a URL: the claims, readable for everyone who holds it, and their HMAC-SHA256.
 * @param purpose part of what is signed, so that what is made for one use of the key is nothing to another
 */
export function signClaims(key: Buffer, purpose: string, claims: object): string {
  const text = Buffer.from(JSON.stringify(claims)).toString('base64url')
  return `${text}.${macOf(key, purpose, text)}`
}

/**
 * Reads a token. The work is the same whatever is wrong with it.
 * @param nothing claims that allow nothing: those of a token that can not be read
 * @returns claims that mean something only if it is `genuine`
 */
export function openClaims<T extends object>(
  key: Buffer,
  purpose: string,
  token: string,
  nothing: T,
): { claims: T; genuine: boolean } {
  const [text = '', mac = ''] = token.split('.', 2)
  const same = timingSafeEqual(digest(`${text}.${macOf(key, purpose, text)}`), digest(`${text}.${mac}`))
  const exact = `${text}.${mac}` === token
  return { claims: readClaims(text, nothing), genuine: same && exact }
}

function macOf(key: Buffer, purpose: string, text: string): string {
  return createHmac('sha256', key).update(purpose).update(text).digest('base64url')
}

/** Equal lengths for the comparison, whatever was sent. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** What can not be read allows nothing; of what can, a genuine signature says that its shape is ours. */
function readClaims<T extends object>(text: string, nothing: T): T {
  try {
    return { ...nothing, ...(JSON.parse(Buffer.from(text, 'base64url').toString()) as T) }
  } catch {
    return nothing
  }
}
