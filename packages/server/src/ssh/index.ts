import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { SandboxError } from '@caisson/protocol/errors'
import { parseAddress } from '../address.ts'
import type { Log } from '../log.ts'
import type { UseCases } from '../sandboxes/use-cases.ts'
import type { SshConnection } from './connection.ts'
import { describeHostKey } from './host-key.ts'

const MAX_CONNECTIONS = 512
/** Connections of clients that have not proved who they are, and the milliseconds that they have for it. */
const MAX_STRANGERS = 64
const LOGIN_MS = 30_000

export interface SshOptions {
  useCases: UseCases
  log: Log
  /** A private key as OpenSSH writes it. */
  hostKey: Buffer
  /** Whether the server ends, so that clients are let go of and their commands go on. */
  stopping(): boolean
}

/**
 * The SSH server. A client is let in by its key alone; its user name is the sandbox that it wants. Everything that it
 * does is a use case: commands, shells and sftp are executions inside, `-L` dials the sandbox's loopback.
 */
export class SshServer {
  readonly hostKey: string
  readonly fingerprint: string
  readonly #options: SshOptions
  readonly #listener: Server
  readonly #connections = new Map<Socket, SshConnection | null>()
  readonly #strangers = new Map<Socket, NodeJS.Timeout>()
  #engine: Promise<{ serve(socket: Socket): void }> | null = null

  constructor(options: SshOptions) {
    this.#options = options
    const { hostKey, fingerprint } = describeHostKey(options.hostKey)
    this.hostKey = hostKey
    this.fingerprint = fingerprint
    this.#listener = createServer({ noDelay: true }, (socket) => void this.#admit(socket))
  }

  /**
   * @param address `host:port`; port 0 takes a free one.
   * @throws SandboxError `host_not_ready` when the address is taken or not of this host
   */
  async listen(address: string): Promise<{ host: string; port: number }> {
    const { host, port } = parseAddress(address)
    try {
      await new Promise<void>((resolve, reject) => {
        this.#listener.once('error', reject)
        this.#listener.listen({ host, port }, resolve)
      })
    } catch (cause) {
      throw notListening(address, cause)
    }
    this.#listener.on('error', (err) => this.#options.log.warn({ err }, 'an SSH connection was not accepted'))
    return { host, port: (this.#listener.address() as AddressInfo).port }
  }

  /** Lets go of every client; what they run goes on. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#listener.close(resolve))
    for (const [socket, connection] of this.#connections) {
      connection?.end()
      if (connection === null) socket.destroy()
    }
    const late = setTimeout(() => {
      for (const socket of this.#connections.keys()) socket.destroy()
    }, 1000)
    await closed
    clearTimeout(late)
  }

  async #admit(socket: Socket): Promise<void> {
    socket.on('error', () => {})
    if (this.#connections.size >= MAX_CONNECTIONS || this.#strangers.size >= MAX_STRANGERS) {
      socket.destroy()
      return
    }
    this.#connections.set(socket, null)
    this.#strangers.set(
      socket,
      setTimeout(() => socket.destroy(), LOGIN_MS),
    )
    socket.once('close', () => {
      this.#trust(socket)
      this.#connections.delete(socket)
    })
    this.#engine ??= this.#load()
    const engine = await this.#engine
    if (!socket.destroyed) engine.serve(socket)
  }

  async #load(): Promise<{ serve(socket: Socket): void }> {
    const { createEngine } = await import('./engine.ts')
    return createEngine({
      ...this.#options,
      onConnection: (socket, connection) => this.#connections.set(socket, connection),
      onTrusted: (socket) => this.#trust(socket),
    })
  }

  #trust(socket: Socket): void {
    clearTimeout(this.#strangers.get(socket))
    this.#strangers.delete(socket)
  }
}

function notListening(address: string, cause: unknown): SandboxError {
  const { code, message } = cause as NodeJS.ErrnoException
  const what =
    code === 'EADDRINUSE'
      ? `the address ${address} for SSH is taken by another program`
      : `cannot listen on ${address} for SSH: ${message}`
  const fix = 'Choose another with CAISSON_SSH_LISTEN=host:port, or "off" for none.'
  return new SandboxError('host_not_ready', { what, fix }, { cause })
}
