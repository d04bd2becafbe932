import type { IncomingMessage } from 'node:http'
import { SandboxError } from '@caisson/protocol/errors'
import { readSandboxId } from './core/sandbox-id.ts'

/** Which port of a sandbox a request means, and how it said so. */
export interface PortRoute {
  readonly form: 'host' | 'headers' | 'path'
  /** Whose manner of speaking it is: that of our own clients, or of others, which expect their own answers. */
  readonly client: 'caisson' | 'e2b' | 'moru'
  /** As it was written: the id in one of its forms; `readSandboxId` reads it. */
  readonly sandbox: string
  readonly port: number
  /** What the program is asked for: the target without the prefix of the path form. */
  readonly target: string
  /** What the path form puts before each path; empty for the others. */
  readonly prefix: string
}

const HOST_LABEL = /^(\d{1,5})-([a-z0-9-]{1,64})$/
const PATH = /^(\/p\/([A-Za-z0-9_-]{1,64})\/(\d{1,5}))([/?].*)?$/s
const ID = /^[A-Za-z0-9_-]{1,64}$/
const PORT = /^\d{1,5}$/

/** The pair of headers `<family>-sandbox-id` and `<family>-sandbox-port`. */
const FAMILIES = ['caisson', 'e2b', 'moru'] as const

/**
 * Finds the port that a request means: by its host name, by its two headers, or by its path, in this order.
 * @returns null when it means none and is the API's
 * @throws SandboxError `invalid_request` for what can be neither
 */
export function routeOf(request: IncomingMessage, domain: string): PortRoute | null {
  const target = request.url ?? ''
  // A target that names a host of its own could be read as one thing here and as another behind.
  if (!target.startsWith('/') && target !== '*') throw malformed('', 'the target must be a path')
  return byHost(request, domain, target) ?? byHeaders(request, target) ?? byPath(target)
}

/** The host name that a request is for, in lower case and without its port; null when it names none or several. */
export function hostOf(request: IncomingMessage): string | null {
  const hosts = request.headersDistinct.host
  if (hosts?.length !== 1) return null
  return (hosts[0] as string)
    .replace(/:\d{0,5}$/, '')
    .replace(/\.$/, '')
    .toLowerCase()
}

/** The id in the first label of a host name of this domain, as it is written there, and the port. */
export function readHost(host: string, domain: string): { sandbox: string; port: number } | null {
  if (!host.endsWith(`.${domain}`)) return null
  const [, port, sandbox] = HOST_LABEL.exec(host.slice(0, -domain.length - 1)) ?? []
  return port === undefined || sandbox === undefined ? null : { sandbox, port: Number(port) }
}

function byHost(request: IncomingMessage, domain: string, target: string): PortRoute | null {
  const host = hostOf(request)
  const found = host === null ? null : readHost(host, domain)
  if (found === null) return null
  // Only they are told of this form of an id.
  const client = found.sandbox.startsWith('i') && readSandboxId(found.sandbox) !== null ? 'e2b' : 'caisson'
  return { form: 'host', client, ...found, target, prefix: '' }
}

function byHeaders({ headersDistinct }: IncomingMessage, target: string): PortRoute | null {
  const named = FAMILIES.filter(
    (family) =>
      headersDistinct[`${family}-sandbox-id`] !== undefined ||
      headersDistinct[`${family}-sandbox-port`] !== undefined,
  )
  const [client, other] = named
  if (client === undefined) return null
  if (other !== undefined) throw malformed(`${other}-sandbox-id`, `there is ${client}-sandbox-id already`)
  const sandbox = only(headersDistinct, `${client}-sandbox-id`, ID, 'the id of a sandbox')
  const port = only(headersDistinct, `${client}-sandbox-port`, PORT, 'a port')
  return { form: 'headers', client, sandbox, port: Number(port), target, prefix: '' }
}

/** A header that is there once, and has such a value. */
function only(headers: NodeJS.Dict<string[]>, name: string, pattern: RegExp, what: string): string {
  const [value, second] = headers[name] ?? []
  if (value === undefined || second !== undefined || !pattern.test(value))
    throw malformed(name, `must be ${what}, and be there once`)
  return value
}

function byPath(path: string): PortRoute | null {
  const [, prefix, sandbox, port, target = ''] = PATH.exec(path) ?? []
  if (prefix === undefined || sandbox === undefined) return null
  return { form: 'path', client: 'caisson', sandbox, port: Number(port), target, prefix }
}

export function malformed(path: string, message: string): SandboxError {
  return new SandboxError('invalid_request', { issues: [{ path, message }] })
}
