import { posix } from 'node:path'
import type { UseCases } from '../../sandboxes/use-cases.ts'
import { userOf } from './connect.ts'
import { Refused } from './errors.ts'
import type { Call } from './route.ts'

/**
 * Whom a request of these clients acts for: their daemon works as root, and what it makes belongs to the user, in whose
 * home relative paths begin.
 */
export class Actor {
  /** What requests to the sandbox are made as: root, by number, because not every image has a table that names it. */
  static readonly user = '0'
  readonly #useCases: UseCases
  readonly #sandbox: string
  readonly #name: string | undefined
  #found: Promise<{ uid: number; gid: number; home: string }> | undefined

  /** @param name absent: the sandbox's own user */
  constructor(useCases: UseCases, sandbox: string, name: string | undefined) {
    this.#useCases = useCases
    this.#sandbox = sandbox
    this.#name = name
  }

  /** Whose that is which is made. @throws Refused 401 for a user that the sandbox does not have */
  async owner(): Promise<{ uid: number; gid: number }> {
    const { uid, gid } = await this.#account()
    return { uid, gid }
  }

  /** An absolute path; the empty one is where commands run. @throws Refused 400, 401 */
  async resolve(path: string): Promise<string> {
    if (path.includes('\0')) throw new Refused(400, 'the path has a NUL in it')
    // Somebody who is named has to be there, even where nothing depends on them.
    if (path.startsWith('/')) {
      if (this.#name !== undefined) await this.#account()
      return path
    }
    const { home } = await this.#account()
    if (path === '') return (await this.#useCases.getSandbox(this.#sandbox)).workdir ?? home
    if (path === '~' || path.startsWith('~/')) return posix.join(home, path.slice(1))
    if (path.startsWith('~')) throw new Refused(400, `'${path}' names another user's home; give its path`)
    return posix.join(home, path)
  }

  #account() {
    this.#found ??= this.#find()
    return this.#found
  }

  async #find() {
    // What signatures cover is joined by colons: one in a name would make another path of a signed one.
    const isName = !this.#name?.includes(':')
    const account = isName ? await this.#useCases.findAccount(this.#sandbox, this.#name) : null
    if (account === null) throw new Refused(401, `invalid username: '${this.#name ?? ''}'`)
    return account
  }
}

/** Whom a remote procedure acts for. */
export function actorOf(useCases: UseCases, call: Call): Actor {
  return new Actor(useCases, call.sandbox, userOf(call))
}
