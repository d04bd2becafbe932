import { SandboxError } from '@caisson/protocol/errors'
import { parseDuration } from '../core/duration.ts'
import { assertEnvironment, assertFits } from '../core/environment.ts'
import { newEvent } from '../core/events.ts'
import { allocateIdBase } from '../core/idrange.ts'
import { newId } from '../core/ids.ts'
import { parseNetwork, showNetwork } from '../core/network/rules.ts'
import type { EventRecord, SandboxRecord } from '../core/records.ts'
import { resolveResources } from '../core/spec.ts'
import type { RuntimeImage } from '../storage/images/catalogue.ts'
import type { Context } from './context.ts'
import { networksOf } from './network/attach.ts'
import { parsePorts } from './ports.ts'
import type { UseCases } from './use-cases.ts'

type Input = Parameters<UseCases['createSandbox']>[0]

/**
 * The record of a sandbox that is asked for, with everything that can be refused before anything is started. Its uid
 * range is taken.
 * @throws SandboxError `too_many`, `invalid_request`, `not_supported`
 */
export function newRecord(
  context: Context,
  input: Input,
  mode: SandboxRecord['mode'],
  image: RuntimeImage | null,
  once: { key: string; digest: string } | null,
): SandboxRecord {
  const { config, driver, layers } = context
  if (context.idBases.size >= config.maxSandboxes)
    throw new SandboxError('too_many', { what: 'sandboxes', limit: config.maxSandboxes })
  const network = parseNetwork(input.network, config.network)
  if (network !== null) networksOf(context)
  const ports = parsePorts(input.ports)
  if (input.env !== undefined) assertEnvironment(input.env)
  const env = { ...image?.env, ...input.env }
  assertFits(env)
  const now = Date.now()
  const granted = resolveResources(
    input.resources ?? {},
    context.host,
    { enforced: driver.limits, quota: layers.quota !== undefined },
    config.defaults,
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
    env,
    asked: input.resources ?? {},
    granted,
    driver: driver.name,
    storage: layers.name,
    idBase,
    network,
    rulesDigest: null,
    ports,
    trafficBefore: { up: 0, down: 0 },
    idleTimeoutMs: idle === 0 ? null : idle,
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
  }
}

/** What was asked for and granted; of the environment the names alone. */
export function createEvent(record: SandboxRecord, files: number): EventRecord {
  const { id, name, mode, runtime, granted, idleTimeoutMs, expiresAt, projectId, orgId } = record
  const network = showNetwork(record.network)
  const ports = record.ports.map(({ port, access }) => ({ port, access }))
  const env = Object.keys(record.env)
  const resources = { asked: record.asked, granted }
  const times = { idleTimeoutMs, expiresAt }
  const what = { name, mode, runtime, resources, network, ports, ...times, projectId, orgId, env, files }
  return newEvent(id, 'create', what)
}
