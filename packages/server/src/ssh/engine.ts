import type { Socket } from 'node:net'
import ssh2, { type Algorithms } from 'ssh2'
import { type ClientOptions, SshConnection } from './connection.ts'
import { socketOf } from './ssh2-internals.ts'

/** Nothing with SHA-1 or CBC, and no compression, which lets few bytes become many. */
const ALGORITHMS: Algorithms = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
  ],
  serverHostKey: ['ssh-ed25519'],
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes192-ctr', 'aes256-ctr'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  compress: ['none'],
}
/** A client that does not answer so many times in a row is gone. */
const KEEPALIVE = { keepaliveInterval: 15_000, keepaliveCountMax: 3 }

export interface EngineOptions extends ClientOptions {
  /** A private key as OpenSSH writes it. */
  hostKey: Buffer
  /** A client has said which protocol it speaks. */
  onConnection(socket: Socket, connection: SshConnection): void
  /** It has proved who it is. */
  onTrusted(socket: Socket): void
}

/** What speaks SSH on sockets. In a module of its own, because the library takes 17 MiB that most servers never need. */
export function createEngine(options: EngineOptions): { serve(socket: Socket): void } {
  const settings = { hostKeys: [options.hostKey], algorithms: ALGORITHMS, ident: 'Caisson', ...KEEPALIVE }
  const server = new ssh2.Server(settings, (client) => {
    const socket = socketOf(client)
    const connection = new SshConnection(client, options, () => options.onTrusted(socket))
    options.onConnection(socket, connection)
  })
  return { serve: (socket) => server.injectSocket(socket) }
}
