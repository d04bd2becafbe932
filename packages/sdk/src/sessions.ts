import type { Session as SessionInfo } from '@caisson/protocol/resources'
import type { CallOptions, Client } from './client.ts'
import type { InputOf } from './contract.ts'
import { createBody } from './create-body.ts'
import type { CreateOptions } from './create-options.ts'
import type { Sandbox } from './sandbox.ts'

/** What a session is to be. */
export interface SessionOptions extends Omit<InputOf<'createSession'>, 'sandbox'> {
  /** What its sandbox is to be. */
  sandbox?: Omit<CreateOptions, 'client' | 'signal'> | undefined
}

/** Which sessions are listed, and in which order. */
export type SessionQuery = Omit<InputOf<'listSessions'>, 'metadata'> & {
  /** Every pair must match. */
  metadata?: Record<string, string> | undefined
}

/** A sandbox for one conversation: the first command starts it, and it is paused between its uses. */
export class Session {
  /** The record as it was when this handle was made or last refreshed. */
  info: SessionInfo
  readonly client: Client

  constructor(client: Client, info: SessionInfo) {
    this.client = client
    this.info = info
  }

  get id(): string {
    return this.info.id
  }

  get name(): string | null {
    return this.info.name
  }

  /** The session's one sandbox. Getting it starts nothing; a command, a file or a connection does. */
  async sandbox(options: CallOptions = {}): Promise<Sandbox> {
    const { Sandbox } = await import('./sandbox.ts')
    return Sandbox.connect(this.info.sandboxId, { client: this.client, signal: options.signal })
  }

  /** Reads the record again. */
  async refresh(options: CallOptions = {}): Promise<this> {
    this.info = await this.client.call('getSession', { session: this.id }, options)
    return this
  }

  /** Deletes it with its sandbox and all of its files; one that is deleted stays so. */
  async delete(options: CallOptions = {}): Promise<void> {
    this.info = await this.client.call('deleteSession', { session: this.id }, options)
  }
}

/**
 * The sessions of a server.
 *
 * @example
 * ```ts
 * import { Client } from 'caisson'
 *
 * const { sessions } = new Client()
 * const session = await sessions.create({ pauseAfter: '30m', sandbox: { env: { LANGUAGE: 'en' } } })
 * const sandbox = await session.sandbox()
 * await sandbox.sh('echo "first turn" > workspace/notes.txt') // starts it
 * console.log((await session.refresh()).info.status) // active
 * await session.delete()
 * ```
 */
export class Sessions {
  readonly #client: Client

  constructor(client: Client) {
    this.#client = client
  }

  /**
   * Records a session and its sandbox; nothing is started.
   *
   * @throws SandboxError `name_taken`, `runtime_not_found`, `not_supported` …
   */
  async create(options: SessionOptions = {}, { signal, idempotencyKey }: CallOptions = {}): Promise<Session> {
    const { sandbox, ...rest } = options
    const input = { ...rest, ...(sandbox && { sandbox: createBody(sandbox) }) }
    const once = { signal, idempotencyKey: idempotencyKey ?? crypto.randomUUID() }
    return new Session(this.#client, await this.#client.call('createSession', input, once))
  }

  /**
   * By id or name.
   *
   * @throws SandboxError `session_not_found`
   */
  async get(session: string, options: CallOptions = {}): Promise<Session> {
    return new Session(this.#client, await this.#client.call('getSession', { session }, options))
  }

  /** A page of sessions that are not deleted, newest first. */
  async list(query: SessionQuery = {}, options: CallOptions = {}): Promise<Session[]> {
    const { metadata, ...rest } = query
    const input = { ...rest, ...(metadata && { metadata: JSON.stringify(metadata) }) }
    const { sessions } = await this.#client.call('listSessions', input, options)
    return sessions.map((info) => new Session(this.#client, info))
  }

  /** Deletes a session, by id or name, with its sandbox. */
  delete(session: string, options: CallOptions = {}): Promise<SessionInfo> {
    return this.#client.call('deleteSession', { session }, options)
  }
}
