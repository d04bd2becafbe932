import type { IncomingMessage } from 'node:http'
import { readSandboxId } from '../../core/sandbox-id.ts'
import { type PortRoute, routeOf } from '../../port-route.ts'
import type { Client, Route } from './route.ts'

/** The port of the daemon that these clients believe to run in every sandbox. Its requests are answered by us. */
const DAEMON_PORT = 49_983

/** First segments of paths that belong to the daemon, */
const DAEMON = new Set([
  'process.Process',
  'filesystem.Filesystem',
  'files',
  'health',
  'metrics',
  'envs',
  'init',
])
/** and of those that belong to the control plane. Our own API has neither but `/metrics`. */
const CONTROL = new Set([
  'sandboxes',
  'v2',
  'v3',
  'templates',
  'snapshots',
  'volumes',
  'volumecontent',
  'secrets',
  'teams',
  'build-files',
])

/** What a request is for, before it is known whether it may. */
export interface Target {
  /** The sandbox that it names; null: it names none. What cannot be an id is `unknown`. */
  sandbox: string | null
  /** How it was named: a host name needs no further check of Host. */
  form: PortRoute['form'] | null
  client: Client
}

/** Whether a request is one of this dialect. Other ports of sandboxes are the proxy's, and so is what names one badly in our own way. */
export function isOurs(request: IncomingMessage, domain: string): boolean {
  let named: PortRoute | null
  try {
    named = routeOf(request, domain)
  } catch {
    return namesInTheirWay(request)
  }
  if (named !== null) return named.client !== 'caisson' && named.port === DAEMON_PORT
  const segment = firstSegment(request)
  if (segment === 'metrics') return request.headers['x-access-token'] !== undefined
  return DAEMON.has(segment) || CONTROL.has(segment)
}

/**
 * @param request one that `isOurs`
 * @throws SandboxError `invalid_request` when its headers name a sandbox badly
 */
export function targetOf(request: IncomingMessage, domain: string): Target {
  const named = routeOf(request, domain)
  const client = clientOf(request, named)
  if (named === null) return { sandbox: null, form: null, client }
  return { sandbox: readSandboxId(named.sandbox) ?? named.sandbox, form: named.form, client }
}

/** Whether a route is the daemon's: then it concerns one sandbox. */
export function isDaemon({ path }: Pick<Route, 'path'>): boolean {
  return DAEMON.has(path.split('/')[1] ?? '')
}

export function pathOf({ url = '' }: IncomingMessage): string {
  const mark = url.indexOf('?')
  return mark < 0 ? url : url.slice(0, mark)
}

function clientOf({ headers }: IncomingMessage, named: PortRoute | null): Client {
  const isMoru =
    named?.client === 'moru' ||
    headers.publisher === 'moru' ||
    headers['user-agent']?.startsWith('moru-') === true
  return isMoru ? 'moru' : 'e2b'
}

function namesInTheirWay({ headers }: IncomingMessage): boolean {
  return Object.keys(headers).some((name) => /^(e2b|moru)-sandbox-(id|port)$/.test(name))
}

function firstSegment(request: IncomingMessage): string {
  return pathOf(request).split('/', 2)[1] ?? ''
}
