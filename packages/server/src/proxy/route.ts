import type { IncomingMessage } from 'node:http'
import { SandboxError } from '@caisson/protocol/errors'

/** Which exposed port a request means, and how it said so. */
export interface Route {
  readonly form: 'host' | 'headers' | 'path'
  /** As it was written: the id, or the id with hyphens. */
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

/**
 * Finds the port that a request means: by its host name, by its two headers, or by its path, in this order.
 * @returns null when it means none and is the API's
 * @throws SandboxError `invalid_request` for what can be neither
 */
export function routeOf(request: IncomingMessage, domain: string): Route | null {
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

/** The id in the first label of a host name of this domain, with hyphens, and the port. */
export function readHost(host: string, domain: string): { sandbox: string; port: number } | null {
  if (!host.endsWith(`.${domain}`)) return null
  const [, port, sandbox] = HOST_LABEL.exec(host.slice(0, -domain.length - 1)) ?? []
  return port === undefined || sandbox === undefined ? null : { sandbox, port: Number(port) }
}

function byHost(request: IncomingMessage, domain: string, target: string): Route | null {
  const host = hostOf(request)
  const found = host === null ? null : readHost(host, domain)
  return found && { form: 'host', ...found, target, prefix: '' }
}

function byHeaders({ headers }: IncomingMessage, target: string): Route | null {
  const sandbox = headers['caisson-sandbox-id']
  const port = headers['caisson-sandbox-port']
  if (sandbox === undefined && port === undefined) return null
  if (!matches(ID, sandbox)) throw malformed('caisson-sandbox-id', 'must be the id of a sandbox')
  if (!matches(PORT, port)) throw malformed('caisson-sandbox-port', 'must be a port')
  return { form: 'headers', sandbox, port: Number(port), target, prefix: '' }
}

function byPath(path: string): Route | null {
  const [, prefix, sandbox, port, target = ''] = PATH.exec(path) ?? []
  if (prefix === undefined || sandbox === undefined) return null
  return { form: 'path', sandbox, port: Number(port), target, prefix }
}

const matches = (pattern: RegExp, value: string | string[] | undefined): value is string =>
  typeof value === 'string' && pattern.test(value)

export function malformed(path: string, message: string): SandboxError {
  return new SandboxError('invalid_request', { issues: [{ path, message }] })
}
