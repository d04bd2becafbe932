import { openClaims, signClaims } from './signed-claims.ts'

/** What a token opens: one private port of one sandbox, until it expires or the port is exposed anew. */
export interface PortClaims {
  sandbox: string
  port: number
  /** When the port was exposed. */
  since: number
  /** Milliseconds since the epoch. */
  expiresAt: number
}

const PURPOSE = 'caisson exposed port 1\n'
const NOTHING: PortClaims = { sandbox: '', port: 0, since: 0, expiresAt: 0 }

export function signPortToken(key: Buffer, claims: PortClaims): string {
  return signClaims(key, PURPOSE, claims)
}

/** When a token ceases to open this port, in milliseconds since the epoch; null: it does not open it now. */
export function openedUntil(
  key: Buffer,
  token: string,
  place: Omit<PortClaims, 'expiresAt'>,
  now: number,
): number | null {
  const { claims, genuine } = openClaims(key, PURPOSE, token, NOTHING)
  const facts = [
    genuine,
    claims.expiresAt > now,
    claims.sandbox === place.sandbox,
    claims.port === place.port,
    claims.since === place.since,
  ]
  return facts.every(Boolean) ? claims.expiresAt : null
}
