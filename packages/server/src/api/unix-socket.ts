import { chmodSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs'
import { connect, type Server } from 'node:net'
import { dirname } from 'node:path'
import { SandboxError } from '@caisson/protocol/errors'

/** A socket's address holds 108 bytes with the final NUL. */
const MAX_PATH = 107

/**
 * Binds a server to a unix socket of mode 0600 in a directory of mode 0700. A socket that a dead server left behind
 * is replaced; one that answers is not.
 * @throws SandboxError `host_not_ready`
 */
export async function bindUnix(server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH) {
    throw notReady(
      `the socket's path ${path} is longer than the ${MAX_PATH} bytes that the kernel takes`,
      'Choose a shorter data directory with CAISSON_DATA_DIR.',
    )
  }
  ownDirectory(dirname(path))
  await removeStale(path)
  await listenPrivately(server, path)
}

function ownDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const { uid, mode } = lstatSync(directory)
  if (uid !== process.getuid?.()) {
    throw notReady(
      `${directory} belongs to uid ${uid}`,
      'Run the server as that user, or choose another data directory.',
    )
  }
  if ((mode & 0o077) !== 0) chmodSync(directory, 0o700)
}

async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket()) throw notReady(`${path} is not a socket`, 'Move that file away.')
  if (await answers(path)) {
    throw notReady(`another server answers at ${path}`, 'Stop it with "caisson server stop", or use it.')
  }
  unlinkSync(path)
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const settle = (live: boolean) => {
      socket.destroy()
      resolve(live)
    }
    socket.once('connect', () => settle(true))
    // A full backlog (EAGAIN) is a live server as well; only a refusal tells that nobody listens.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      settle(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
}

/** The socket is made under a tight umask, so that there is no moment in which another user could connect. */
function listenPrivately(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(notReady(`cannot listen on ${path}: ${cause.message}`, '', cause)))
    const before = process.umask(0o177)
    try {
      server.listen(path, resolve)
    } finally {
      process.umask(before)
    }
  })
}

function notReady(what: string, fix: string, cause?: unknown): SandboxError {
  return new SandboxError('host_not_ready', { what, fix }, { cause })
}
