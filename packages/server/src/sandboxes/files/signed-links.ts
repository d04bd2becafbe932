import { SandboxError } from '@caisson/protocol/errors'
import { openClaims, signClaims } from '../signed-claims.ts'

/** What a link allows: one operation on one file of one sandbox, as one user, until it expires. */
export interface Claims {
  sandbox: string
  operation: 'read' | 'write'
  path: string
  user: string | null
  /** Milliseconds since the epoch. */
  expiresAt: number
}

const PURPOSE = 'caisson signed file 1\n'
const NOTHING: Claims = { sandbox: '', operation: 'read', path: '', user: null, expiresAt: 0 }

export function signLink(key: Buffer, claims: Claims): string {
  return signClaims(key, PURPOSE, claims)
}

/**
 * The claims of a token for this operation. Signature, age and operation are all looked at, whatever the first of
 * them says, and every failure is the same.
 * @throws SandboxError `signature_invalid`
 */
export function verifyLink(key: Buffer, token: string, operation: Claims['operation'], now: number): Claims {
  const { claims, genuine } = openClaims(key, PURPOSE, token, NOTHING)
  const fresh = claims.expiresAt > now
  const meant = claims.operation === operation
  if (![genuine, fresh, meant].every(Boolean)) throw new SandboxError('signature_invalid', {})
  return claims
}
