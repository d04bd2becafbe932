import { SandboxError } from '@caisson/protocol/errors'
import { parseDuration } from '../core/duration.ts'
import { assertEnvironment, assertFits } from '../core/environment.ts'
import { newEvent } from '../core/events.ts'
import { allocateIdBase } from '../core/idrange.ts'
import { newId } from '../core/ids.ts'
import { parseNetwork, showNetwork } from '../core/network/rules.ts'
import type { EventRecord, SandboxRecord, StartProgram } from '../core/records.ts'
import { resolveResources } from '../core/spec.ts'
import type { Context } from './context.ts'
import type { CreateInput, Made } from './create-live.ts'
import { networksOf } from './network/attach.ts'
import { assertDepth } from './pause-depth.ts'
import { parseAllPorts, parsePortHost, parsePorts } from './port-rules.ts'

/**
 * The record of a sandbox that is asked for, with everything that can be refused before anything is started. Its uid
 * range is taken.
 * @throws SandboxError `too_many`, `invalid_request`, `not_supported`
 */
export function newRecord(
  context: Context,
  input: CreateInput,
  mode: SandboxRecord['mode'],
  made: Made,
  once: { key: string; digest: string } | null,
): SandboxRecord {
  const { config, driver, layers } = context
  if (context.idBases.size >= config.maxSandboxes)
    throw new SandboxError('too_many', { what: 'sandboxes', limit: config.maxSandboxes })
  const network = parseNetwork(input.network, config.network)
  if (network !== null) networksOf(context)
  const start = made.record?.start !== undefined ? made.record.start : startOf(made.image)
  const ports = withPortsOf(start, parsePorts(input.ports))
  const allPorts = parseAllPorts(input.allPorts)
  const portHost = parsePortHost(input.portHost)
  if (input.env !== undefined) assertEnvironment(input.env)
  const { image } = made
  const env = { ...image?.env, ...made.record?.env, ...input.env }
  assertFits(env)
  const now = Date.now()
  const granted = resolveResources(
    input.resources ?? {},
    context.host,
    { enforced: driver.limits, quota: layers.quota, maxDiskBytes: layers.maxDiskBytes },
    { ...config.defaults, ...made.resources },
  )
  const idle = parseDuration(input.idleTimeout ?? config.defaults.idleTimeout, 'idleTimeout')
  const ttl = parseDuration(input.ttl ?? 0, 'ttl')
  const idBase = allocateIdBase(context.idBases)
  context.idBases.add(idBase)
  return {
    id: newId('sbx'),
    name: input.name ?? null,
    description: input.description ?? null,
    state: 'creating',
    mode,
    runtime: image?.runtime ?? driver.name,
    imageDigest: image?.digest ?? null,
    metadata: input.metadata ?? {},
    asked: input.resources ?? {},
    granted,
    driver: driver.name,
    storage: layers.name,
    idBase,
    layers: made.layers,
    base: made.from,
    snapshotId: null,
    forkedFrom: null,
    sessionId: null,
    templateId: null,
    dependencies: [],
    packages: [],
    user: image?.user.name ?? null,
    workdir: image?.workdir ?? null,
    start,
    volumes: made.volumes ?? [],
    internal: null,
    network,
    rulesDigest: null,
    ports,
    allPorts,
    portHost,
    trafficBefore: { up: 0, down: 0 },
    pause: null,
    ...pausing(context, input),
    bootedAt: null,
    pauseAfterMs: null,
    restoring: null,
    idleTimeoutMs: idle === 0 ? null : idle,
    ttlMs: ttl === 0 ? null : ttl,
    expiresAt: ttl === 0 ? null : now + ttl,
    projectId: input.projectId ?? null,
    orgId: input.orgId ?? null,
    executionCount: 0,
    createdAt: now,
    updatedAt: now,
    lastActiveAt: now,
    endedAt: null,
    ending: null,
    idempotencyKey: once?.key ?? null,
    requestDigest: once?.digest ?? null,
    version: 1,
    ...made.record,
    env,
  }
}

/** What an image runs in its sandboxes. */
function startOf(image: Made['image']): StartProgram | null {
  if (image?.start === undefined) return null
  const { start, ports = [] } = image
  return ports.length === 0 ? start : { ...start, ports }
}

/** A service that an image brings is for those with a token, unless more was asked for. */
function withPortsOf(start: StartProgram | null, asked: SandboxRecord['ports']): SandboxRecord['ports'] {
  const since = Date.now()
  const own = (start?.ports ?? []).filter((port) => asked.every((one) => one.port !== port))
  const all = [...asked, ...own.map((port) => ({ port, access: 'private' as const, since }))]
  return all.sort((a, b) => a.port - b.port)
}

/** @throws SandboxError `not_supported` for a depth that this server does not have */
function pausing(
  context: Context,
  { onTimeout = 'kill', pauseDepth, pausedTimeout, resumeOnRequest = false }: CreateInput,
): Pick<SandboxRecord, 'onTimeout' | 'pauseDepth' | 'pausedTimeoutMs' | 'resumeOnRequest'> {
  if (pauseDepth !== undefined) assertDepth(context, pauseDepth)
  const paused = parseDuration(pausedTimeout ?? 0, 'pausedTimeout')
  return {
    onTimeout,
    pauseDepth: pauseDepth ?? (context.driver.memory === undefined ? 'filesystem' : 'memory'),
    pausedTimeoutMs: paused === 0 ? null : paused,
    resumeOnRequest,
  }
}

/** What was asked for and granted; of the environment the names alone. */
export function createEvent(record: SandboxRecord, files: number): EventRecord {
  const { id, name, mode, runtime, granted, idleTimeoutMs, expiresAt, projectId, orgId } = record
  const { snapshotId, templateId, forkedFrom, sessionId, dependencies, packages, volumes } = record
  const network = showNetwork(record.network)
  const ports = record.ports.map(({ port, access }) => ({ port, access }))
  const env = Object.keys(record.env)
  const resources = { asked: record.asked, granted }
  const times = { idleTimeoutMs, expiresAt }
  const origin = { snapshotId, templateId, forkedFrom, sessionId, dependencies, packages, volumes }
  const owner = { projectId, orgId }
  const what = { name, mode, runtime, ...origin, resources, network, ports, ...times, ...owner, env, files }
  return newEvent(id, 'create', what)
}
