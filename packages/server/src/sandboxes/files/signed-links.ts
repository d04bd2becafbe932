import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { SandboxError } from '@caisson/protocol/errors'

/** What a link allows: one operation on one file of one sandbox, as one user, until it expires. */
export interface Claims {
  sandbox: string
  operation: 'read' | 'write'
  path: string
  user: string | null
  /** Milliseconds since the epoch. */
  expiresAt: number
}

/** Part of what is signed, so that no other use of the key can ever make a link. */
const PURPOSE = 'caisson signed file 1\n'

/** A token for a URL: the claims, readable for everyone who holds it, and their HMAC-SHA256. */
export function signLink(key: Buffer, claims: Claims): string {
  const text = Buffer.from(JSON.stringify(claims)).toString('base64url')
  return `${text}.${macOf(key, text)}`
}

/**
 * The claims of a token for this operation. Signature, age and operation are all looked at, whatever the first of
 * them says, and every failure is the same.
 * @throws SandboxError `signature_invalid`
 */
export function verifyLink(key: Buffer, token: string, operation: Claims['operation'], now: number): Claims {
  const [text = '', mac = ''] = token.split('.', 2)
  const genuine = timingSafeEqual(digest(`${text}.${macOf(key, text)}`), digest(`${text}.${mac}`))
  const exact = `${text}.${mac}` === token
  const claims = readClaims(text)
  const fresh = claims.expiresAt > now
  const meant = claims.operation === operation
  if (![genuine, exact, fresh, meant].every(Boolean)) throw new SandboxError('signature_invalid', {})
  return claims
}

function macOf(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(PURPOSE).update(text).digest('base64url')
}

/** Equal lengths for the comparison, whatever was sent. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** What can not be read allows nothing; of what can, a genuine signature says that its shape is ours. */
function readClaims(text: string): Claims {
  const nothing: Claims = { sandbox: '', operation: 'read', path: '', user: null, expiresAt: 0 }
  try {
    return { ...nothing, ...(JSON.parse(Buffer.from(text, 'base64url').toString()) as Claims) }
  } catch {
    return nothing
  }
}
