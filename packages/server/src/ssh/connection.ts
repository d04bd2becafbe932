import type { Connection, ServerChannel, Session } from 'ssh2'
import type { Log } from '../log.ts'
import type { UseCases } from '../sandboxes/use-cases.ts'
import { createAuthenticator } from './authentication.ts'
import { serveForward } from './forward.ts'
import { serveSession } from './session.ts'
import { exchangesKeys, explainRefusals, type OpenFailure, socketOf } from './ssh2-internals.ts'

/** Sessions and forwarded connections of one client at a time. */
const MAX_CHANNELS = 64
/** Characters of a user name; ids and names of sandboxes are shorter. */
const MAX_USER = 128
/** Bytes on their way to a client before what produces them has to wait. */
const HIGH = 1024 * 1024
/** Who sends on without reading its answers, or beyond the window that it was given, is cut off. */
const MAX_UNTAKEN = 8 * 1024 * 1024

export interface ClientOptions {
  useCases: UseCases
  log: Log
  /** Whether the server ends, so that clients are let go of and their commands go on. */
  stopping(): boolean
}

/** One client: who it is, what it has open, and how much it may be sent. */
export class SshConnection {
  readonly useCases: UseCases
  readonly log: Log
  /** The sandbox that was asked for as the user name, an id or a name; whether it exists is not known. */
  sandbox = ''
  /** Whether the server lets go of its clients: what they run goes on. */
  readonly leaving: () => boolean
  readonly refuse: (reject: () => void, failure: OpenFailure) => void
  readonly #client: Connection
  readonly #gone = new AbortController()
  readonly #open = new Set<object>()
  readonly #channels = new Set<ServerChannel>()
  #wake = Promise.withResolvers<void>()

  /** @param onTrusted called when the client has proved who it is */
  constructor(client: Connection, { useCases, log, stopping }: ClientOptions, onTrusted: () => void) {
    this.useCases = useCases
    this.log = log
    this.leaving = stopping
    this.#client = client
    const socket = socketOf(client)
    this.refuse = explainRefusals(client)
    const authenticate = createAuthenticator({
      knows: (fingerprint) => useCases.authenticateSsh(fingerprint),
      accepted: (user, key) => {
        this.sandbox = user.slice(0, MAX_USER)
        log.info({ sandbox: this.sandbox, key, from: socket.remoteAddress }, 'an SSH client came in')
      },
      failed: (err) => log.warn({ err }, 'an SSH key could not be looked up'),
      tooMany: () => client.end(),
    })
    client.on('authentication', authenticate)
    client.on('ready', onTrusted)
    client.on('error', (err) => log.debug({ err }, 'an SSH client failed'))
    client.on('rekey', () => this.#release())
    client.on('close', () => this.#close())
    client.on('session', (accept, reject) => this.#admit(accept, reject, serveSession))
    client.on('tcpip', (accept, reject, info) =>
      this.#admit(
        () => info,
        reject,
        () => serveForward(this, { accept, reject, ...info }),
      ),
    )
    socket.on('drain', () => this.#release())
    socket.on('data', () => this.#guard())
  }

  /** Aborts when the connection is gone. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** Resolves when the client has taken enough of what it was sent. @throws when it is gone */
  async room(): Promise<void> {
    while (!this.gone.aborted && this.#full()) await this.#wake.promise
    this.gone.throwIfAborted()
  }

  /** Counts what a client has open, until `closed` resolves. */
  counts(opened: object, closed: Promise<unknown>): void {
    this.#open.add(opened)
    closed.finally(() => this.#open.delete(opened))
  }

  /** Sees to it that a channel takes no more than its window, until `closed` resolves. */
  watches(channel: ServerChannel, closed: Promise<unknown>): void {
    this.#channels.add(channel)
    closed.finally(() => this.#channels.delete(channel))
  }

  end(): void {
    this.#client.end()
    socketOf(this.#client).destroySoon()
  }

  #admit<T extends Session | object>(
    accept: () => T,
    reject: () => void,
    serve: (connection: SshConnection, opened: T) => void,
  ): void {
    if (this.#open.size < MAX_CHANNELS) serve(this, accept())
    else this.refuse(reject, { reason: 1, description: `at most ${MAX_CHANNELS} channels at a time` })
  }

  #full(): boolean {
    return socketOf(this.#client).writableLength > HIGH || exchangesKeys(this.#client)
  }

  #guard(): void {
    let untaken = socketOf(this.#client).writableLength
    for (const opened of this.#open)
      untaken = Math.max(untaken, (opened as ServerChannel).readableLength ?? 0)
    if (untaken > MAX_UNTAKEN) socketOf(this.#client).destroy()
  }

  #release(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }

  #close(): void {
    this.#gone.abort(new Error('the SSH client is gone'))
    this.#release()
  }
}
