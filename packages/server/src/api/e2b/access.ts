import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { UseCases } from '../../sandboxes/use-cases.ts'
import { type Access, bearer } from '../access.ts'
import { isGone, noSuchSandbox, Refused } from './errors.ts'
import type { Route } from './route.ts'
import { isDaemon, type Target } from './target.ts'

/** A request whose route is known, before its body is read. */
export interface Visit {
  request: IncomingMessage
  route: Route
  target: Target
  params: Record<string, string>
  query: URLSearchParams
}

/** Decides who may ask what. */
export class Gate {
  readonly #access: Access
  readonly #useCases: UseCases

  constructor(access: Access, useCases: UseCases) {
    this.#access = access
    this.#useCases = useCases
  }

  /**
   * Lets a request in, or not. Whether a sandbox exists is told only to who may know.
   * @returns id of the sandbox that it concerns; empty when it concerns none
   * @throws Refused, SandboxError
   */
  async admit(visit: Visit): Promise<string> {
    const { auth } = visit.route
    if (auth === 'sandbox') return this.#running(this.#byToken(visit) ?? unauthorised(), true)
    if (auth === 'signature') return this.#running(this.#byTokenOrSignature(visit), true)
    if (auth === 'volume') return this.#byVolumeToken(visit)
    if (auth === 'capability') return ''
    if (auth === 'anybody') return isDaemon(visit.route) ? this.#named(visit) : ''
    const key = only(visit.request.headers['x-api-key']) ?? bearer(visit.request)
    if (key === undefined && visit.route.hint !== undefined) throw new Refused(401, visit.route.hint)
    await this.#access.authoriseKey(key, auth)
    return ''
  }

  /** The sandbox whose token was presented: the one that was named, or, when none was, the token's own. */
  #byToken({ request, target }: Visit): string | null {
    const token = only(request.headers['x-access-token'])
    const id = token === undefined ? null : this.#useCases.admittedBy(token)
    return target.sandbox === null || target.sandbox === id ? id : null
  }

  /** A token that is presented decides, even beside a signature. */
  #byTokenOrSignature(visit: Visit): string {
    const { request, query } = visit
    if (request.headers['x-access-token'] !== undefined) return this.#byToken(visit) ?? unauthorised()
    const signature = query.get('signature')
    if (signature === null) return unauthorised()
    // Which of two would be read behind is nobody's to guess.
    for (const name of ['path', 'username', 'signature', 'signature_expiration'])
      if (query.getAll(name).length > 1) throw new Refused(400, `${name} was given twice`)
    const id = this.#whoSigned(visit, signature)
    if (id === null) throw new Refused(401, 'invalid signature')
    if (hasExpired(query.get('signature_expiration'))) throw new Refused(401, 'signature is already expired')
    return id
  }

  #whoSigned({ request, target, query }: Visit, signature: string): string | null {
    if (!SIGNATURE.test(signature)) return null
    // Every living sandbox is tried, so that a comparison must cost little: both are 46 bytes long.
    const given = Buffer.from(signature)
    const passes = (token: string) => timingSafeEqual(given, Buffer.from(signatureOf(request, query, token)))
    if (target.sandbox === null) return this.#useCases.whoseToken(passes)
    if (!ID.test(target.sandbox)) return null
    return passes(this.#useCases.sandboxTokens(target.sandbox).access) ? target.sandbox : null
  }

  /** The volume is what the first parameter of the path names. */
  #byVolumeToken({ request, params }: Visit): string {
    const volume = Object.values(params)[0] ?? ''
    const token = bearer(request)
    if (token === undefined || !this.#useCases.admittedToVolume(token, volume))
      throw new Refused(401, 'The token is not one of this volume')
    return ''
  }

  /** A sandbox that is named, or whose token is presented, to somebody who need not show who they are. */
  async #named(visit: Visit): Promise<string> {
    const admitted = this.#byToken(visit)
    const { target, request } = visit
    if (target.sandbox === null && request.headers['x-access-token'] === undefined) return ''
    return this.#running(target.sandbox ?? admitted ?? unauthorised(), admitted !== null)
  }

  /**
   * A sandbox that runs. One that is paused is resumed, if it is one that requests resume and this one may.
   * @throws Refused 502 for one that does not run
   */
  async #running(id: string, mayResume: boolean): Promise<string> {
    try {
      return await this.#runningNow(id, mayResume)
    } catch (error) {
      throw isGone(error) ? noSuchSandbox(id, error) : error
    }
  }

  async #runningNow(id: string, mayResume: boolean): Promise<string> {
    if (!ID.test(id)) throw noSuchSandbox(id)
    const { status, resumeOnRequest, health } = await this.#useCases.getSandbox(id)
    if (status === 'idle' || status === 'running') {
      if (health !== 'ok') throw noSuchSandbox(id)
      return id
    }
    if (!(mayResume && resumeOnRequest && (status === 'paused' || status === 'suspended')))
      throw noSuchSandbox(id)
    await this.#useCases.resumeSandbox(id, {})
    return id
  }
}

const ID = /^sbx_[a-z2-7]{20}$/
/** SHA-256 in base64 without padding. */
const SIGNATURE = /^v1_[A-Za-z0-9+/]{43}$/

/** What whoever knows the token has to write beside these parameters. */
function signatureOf({ method }: IncomingMessage, query: URLSearchParams, token: string): string {
  const operation = method === 'GET' ? 'read' : 'write'
  const parts = [query.get('path') ?? '', operation, query.get('username') ?? '', token]
  const expiration = query.get('signature_expiration')
  if (expiration !== null) parts.push(expiration)
  return `v1_${createHash('sha256').update(parts.join(':')).digest('base64').replace(/=+$/, '')}`
}

/** @param expiration seconds since the epoch */
function hasExpired(expiration: string | null): boolean {
  if (expiration === null) return false
  return !/^\d{1,12}$/.test(expiration) || Number(expiration) * 1000 < Date.now()
}

function unauthorised(): never {
  throw new Refused(401, 'No access token of this sandbox was given')
}

const only = (header: string | string[] | undefined): string | undefined =>
  typeof header === 'string' ? header : undefined
