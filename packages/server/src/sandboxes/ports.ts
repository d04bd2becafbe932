import { SandboxError } from '@caisson/protocol/errors'
import type { ExposedPort } from '@caisson/protocol/resources'
import { parseDuration } from '../core/duration.ts'
import { newEvent } from '../core/events.ts'
import { invalid } from '../core/invalid.ts'
import type { SandboxRecord } from '../core/records.ts'
import { readSandboxId } from '../core/sandbox-id.ts'
import { findLive, isPaused } from './awake.ts'
import { changeSandbox } from './change-sandbox.ts'
import type { Context } from './context.ts'
import { connectPort, hold } from './dial.ts'
import type { Live } from './live.ts'
import { endedError, findLiving, findSandbox } from './lookup.ts'
import { presentLive } from './pausing/kept.ts'
import { assertPort, byNumber, type Exposed, findExposed, hostFor, MAX_PORTS } from './port-rules.ts'
import { openedUntil, signPortToken } from './port-tokens.ts'
import { portUrl, showPorts } from './port-urls.ts'
import { isSame, tokenUseCases } from './tokens.ts'
import type { OpenPort, ReachedPort, UseCases } from './use-cases.ts'

type PortUseCases = Pick<UseCases, 'listPorts' | 'exposePort' | 'unexposePort' | 'linkPort' | 'reachPort'>

const DEFAULT_TTL = '24h'
const MAX_TTL_MS = 30 * 24 * 3_600_000

export function portUseCases(context: Context): PortUseCases {
  const { sandboxTokens } = tokenUseCases(context)
  return {
    listPorts: async (id) => showPorts(context, await findSandbox(context, id)),
    exposePort: (...args) => exposePort(context, ...args),
    unexposePort: (...args) => unexposePort(context, ...args),
    linkPort: (...args) => linkPort(context, ...args),
    reachPort: (...args) => reachPort(context, sandboxTokens, ...args),
  }
}

async function exposePort(
  context: Context,
  ...[id, port, { access = 'private' }]: Parameters<UseCases['exposePort']>
): Promise<ExposedPort> {
  assertPort(port, 'port')
  const now = Date.now()
  let wasPublic = false
  const record = await changePorts(context, await findSandbox(context, id), ({ ports, allPorts }) => {
    const known = ports.find((each) => each.port === port)
    if (known === undefined && ports.length >= MAX_PORTS)
      throw new SandboxError('too_many', { what: 'exposed ports of this sandbox', limit: MAX_PORTS })
    if (known?.access === access) return ports
    wasPublic = (known ?? allPorts)?.access === 'public'
    const others = ports.filter((each) => each !== known)
    return [...others, { port, access, since: known?.since ?? now }].sort(byNumber)
  })
  // Whoever came in while it was public has shown no token.
  if (wasPublic) cut(context, record.id, port)
  return { port, access, url: portUrl(context, record, port) }
}

/** Afterwards the port is what `allPorts` of the sandbox makes of all that are not named. */
async function unexposePort(context: Context, id: string, port: number): Promise<void> {
  const record = await changePorts(context, await findSandbox(context, id), (seen) => {
    const left = seen.ports.filter((each) => each.port !== port)
    if (left.length === seen.ports.length)
      throw new SandboxError('port_not_exposed', { sandbox: seen.id, port })
    return left
  })
  cut(context, record.id, port)
}

/** Stores the ports that `decide` makes of those that are exposed; the same list changes nothing. */
async function changePorts(
  context: Context,
  record: SandboxRecord,
  decide: (seen: SandboxRecord) => Exposed[],
): Promise<SandboxRecord> {
  return changeSandbox(context, record, (seen) => {
    const ports = decide(seen)
    if (ports === seen.ports) return { change: {}, events: [] }
    const shown = ports.map(({ port, access }) => ({ port, access }))
    return { change: { ports }, events: [newEvent(seen.id, 'ports', { ports: shown })] }
  })
}

async function linkPort(
  context: Context,
  ...[id, port, { ttl }]: Parameters<UseCases['linkPort']>
): ReturnType<UseCases['linkPort']> {
  const record = await findLiving(context, id)
  const { since } = findExposed(record, port)
  const lifetime = parseDuration(ttl ?? DEFAULT_TTL, 'ttl')
  if (lifetime === 0 || lifetime > MAX_TTL_MS) throw invalid('ttl', 'must be more than 0 and at most 30d')
  const expiresAt = Date.now() + lifetime
  const token = signPortToken(context.signingKey, { sandbox: record.id, port, since, expiresAt })
  const url = portUrl(context, record, port)
  return {
    url: url && `${url}?caisson_token=${token}`,
    token,
    expiresAt: new Date(expiresAt).toISOString(),
  }
}

/** By id alone, in every form that it has: names could be guessed. */
async function reachPort(
  context: Context,
  tokensOf: UseCases['sandboxTokens'],
  asWritten: string,
  port: number,
): Promise<ReachedPort> {
  const unknown = new SandboxError('sandbox_not_found', { sandbox: asWritten })
  const id = readSandboxId(asWritten)
  if (id === null) throw unknown
  const record =
    context.live.get(id)?.record ?? context.paused.get(id) ?? (await context.store.sandboxes.get(id))
  if (record === null || record.internal !== null) throw unknown
  if (record.endedAt !== null) throw endedError(record)
  const { access, since } = findExposed(record, port)
  return {
    sandbox: id,
    access,
    host: record.portHost && hostFor(record.portHost, port),
    admittedUntil: (token) => {
      const linked = openedUntil(context.signingKey, token, { sandbox: id, port, since }, Date.now())
      const { access: own, traffic } = tokensOf(id)
      const opens = [isSame(token, own), isSame(token, traffic)]
      return opens.includes(true) ? Number.POSITIVE_INFINITY : linked
    },
    awake: () => awakePort(context, id, { port, access, since }),
  }
}

/** What may be done by those who were let in. */
async function awakePort(context: Context, id: string, admitted: Exposed): Promise<OpenPort> {
  const { port, access } = admitted
  const record = await findSandbox(context, id)
  if (record.state !== 'ready' && !record.resumeOnRequest && isPaused(record))
    throw new SandboxError('invalid_transition', {
      sandbox: id,
      from: 'paused',
      event:
        'answer: requests do not resume it. "caisson resume" does, or "resumeOnRequest" when it is created',
    })
  const live = await findLive(context, id, 'port')
  const now = findExposed(live.record, port)
  // Whoever was let in by other rules comes again.
  if (now.access !== access || now.since !== admitted.since)
    throw new SandboxError('port_not_exposed', { sandbox: id, port })
  return {
    sandbox: id,
    hold: () => hold(context, live),
    connect: (signal) => connectPort(context, live, port, signal),
    closed: openPortsOf(live, port).signal,
  }
}

/** What ends the connections to the ports of a sandbox that runs. With its agent they break by themselves. */
const openPorts = new WeakMap<Live, Map<number, AbortController>>()

function openPortsOf(live: Live, port: number): AbortController {
  const ports = openPorts.get(live) ?? new Map<number, AbortController>()
  openPorts.set(live, ports)
  const known = ports.get(port) ?? new AbortController()
  ports.set(port, known)
  return known
}

/** Ends all connections to a port. */
function cut(context: Context, id: string, port: number): void {
  const live = presentLive(context, id)
  const ports = live && openPorts.get(live)
  ports?.get(port)?.abort()
  ports?.delete(port)
}
