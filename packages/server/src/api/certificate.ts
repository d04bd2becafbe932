import { readFileSync } from 'node:fs'
import type { Server } from 'node:https'
import { createSecureContext } from 'node:tls'
import { SandboxError } from '@caisson/protocol/errors'
import type { Log } from '../log.ts'

/** Milliseconds between looks at the files. */
const LOOK_EVERY = 60_000

interface Pair {
  cert: Buffer
  key: Buffer
}

/** A certificate and its key in two files, which are read again when they change: renewals need no restart. */
export class Certificate {
  readonly #files: { cert: string; key: string }
  readonly #log: Log
  #pair: Pair

  /** @throws SandboxError `host_not_ready` naming the file that can not be used */
  constructor(files: { cert: string; key: string }, log: Log) {
    this.#files = files
    this.#log = log
    this.#pair = readPair(files)
  }

  get pair(): Pair {
    return this.#pair
  }

  /** Keeps the certificate of a server new. @returns the undo */
  renew(server: Server): () => void {
    const timer = setInterval(() => this.look(server), LOOK_EVERY).unref()
    return () => clearInterval(timer)
  }

  /** Takes over what the files hold now; files that can not be used change nothing but the log. */
  look(server: Pick<Server, 'setSecureContext'>): void {
    try {
      const pair = readPair(this.#files)
      if (pair.cert.equals(this.#pair.cert) && pair.key.equals(this.#pair.key)) return
      server.setSecureContext(pair)
      this.#pair = pair
      this.#log.info({ cert: this.#files.cert }, 'the certificate was renewed')
    } catch (err) {
      this.#log.error({ err }, 'the certificate could not be renewed; the one in use stays')
    }
  }
}

/** Both, and matching: one may be new and the other old while they are being replaced. */
function readPair(files: { cert: string; key: string }): Pair {
  const pair = { cert: readPem(files.cert), key: readPem(files.key) }
  try {
    createSecureContext(pair)
  } catch (cause) {
    throw notUsable(`${files.cert} and ${files.key}`, cause)
  }
  return pair
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw notUsable(path, cause)
  }
}

function notUsable(what: string, cause: unknown): SandboxError {
  return new SandboxError(
    'host_not_ready',
    {
      what: `TLS is not possible with ${what}: ${(cause as Error).message}`,
      fix: 'Give the PEM files of a certificate chain and its key with --tls-cert and --tls-key.',
    },
    { cause },
  )
}
