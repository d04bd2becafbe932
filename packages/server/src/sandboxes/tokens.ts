import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { fromSandboxId, toSandboxId } from '../core/sandbox-id.ts'
import type { Context } from './context.ts'
import { openClaims, signClaims } from './signed-claims.ts'
import type { UseCases } from './use-cases.ts'

type TokenUseCases = Pick<
  UseCases,
  | 'sandboxTokens'
  | 'admittedBy'
  | 'whoseToken'
  | 'volumeToken'
  | 'admittedToVolume'
  | 'buildFilesToken'
  | 'buildFilesOf'
>

/** Part of what is signed, so that what is made for one use of the key is nothing to another. */
const ACCESS = 'caisson sandbox access 1\n'
const TRAFFIC = 'caisson sandbox traffic 1\n'
const VOLUME = 'caisson volume 1\n'
const BUILD_FILES = 'caisson build files 1\n'

/** Milliseconds in which files of a build are to be put. */
const BUILD_FILES_MS = 3_600_000
const ACCESS_TOKEN = /^csa_(i[a-z2-7]{20})_[\w-]{43}$/
const NO_FILES = { hash: '', nonce: '', expiresAt: 0 }

/**
 * Tokens that follow from the server's key and an id. Nothing is stored: they are the same after a pause and a restart, and
 * open nothing when the sandbox or the volume is gone.
 */
export function tokenUseCases(context: Pick<Context, 'signingKey' | 'live' | 'paused'>): TokenUseCases {
  const { signingKey: key } = context
  const accessOf = (id: string) => `csa_${toSandboxId(id)}_${mac(key, ACCESS, id)}`
  const volumeToken = (id: string) => `csv_${mac(key, VOLUME, id)}`
  const used = new UsedOnce()
  return {
    sandboxTokens: (id) => ({
      access: accessOf(id),
      traffic: `cst_${toSandboxId(id)}_${mac(key, TRAFFIC, id)}`,
    }),
    admittedBy: (access) => {
      const id = fromSandboxId(ACCESS_TOKEN.exec(access)?.[1] ?? '')
      return id !== null && isSame(access, accessOf(id)) ? id : null
    },
    whoseToken: (passes) => {
      let found: string | null = null
      // All of them, whichever passes: the time tells nothing.
      for (const record of living(context)) if (passes(accessOf(record.id))) found = record.id
      return found
    },
    volumeToken,
    admittedToVolume: (token, volume) => isSame(token, volumeToken(volume)),
    buildFilesToken: (hash) =>
      signClaims(key, BUILD_FILES, {
        hash,
        nonce: randomBytes(12).toString('base64url'),
        expiresAt: Date.now() + BUILD_FILES_MS,
      }),
    buildFilesOf: (token) => {
      const { claims, genuine } = openClaims(key, BUILD_FILES, token, NO_FILES)
      return genuine && used.first(claims.nonce, claims.expiresAt) ? claims.hash : null
    },
  }
}

/** Compares secrets in a time that does not depend on where they differ. */
export function isSame(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected))
}

function* living({ live, paused }: Pick<Context, 'live' | 'paused'>) {
  for (const { record } of live.values()) if (record.internal === null) yield record
  for (const record of paused.values()) if (record.internal === null) yield record
}

function mac(key: Buffer, purpose: string, id: string): string {
  return createHmac('sha256', key).update(purpose).update(id).digest('base64url')
}

/** Equal lengths for the comparison, whatever was sent. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Remembers what was used, for as long as it could be used again. A restart forgets, and what is put twice is the same. */
class UsedOnce {
  readonly #until = new Map<string, number>()

  /** Whether this is its first use, in time. */
  first(nonce: string, expiresAt: number): boolean {
    const now = Date.now()
    // Those that were used first mostly expire first.
    for (const [known, until] of this.#until) {
      if (until > now) break
      this.#until.delete(known)
    }
    if (expiresAt <= now || this.#until.has(nonce)) return false
    this.#until.set(nonce, expiresAt)
    return true
  }
}
