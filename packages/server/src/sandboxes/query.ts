import { SandboxError } from '@caisson/protocol/errors'
import type { Event, Execution, Sandbox, Status } from '@caisson/protocol/resources'
import { LIVE_STATES } from '../core/lifecycle.ts'
import type { PauseRecord, SandboxState } from '../core/records.ts'
import { toEvent } from '../core/view.ts'
import type { SandboxQuery } from '../state/store.ts'
import type { Context } from './context.ts'
import { findSandbox, showExecution, showSandbox } from './lookup.ts'
import type { UseCases } from './use-cases.ts'

/** The stored states behind a status. */
const STATES: Record<Status, SandboxState[]> = {
  creating: ['creating'],
  idle: ['ready'],
  running: ['ready'],
  paused: ['pausing', 'paused', 'resuming'],
  suspended: ['paused'],
  stopping: ['stopping'],
  terminated: ['terminated'],
  failed: ['failed'],
}

/** Which of those that are paused a status means, by where their memory is. */
const MEMORY: Partial<Record<Status, PauseRecord['memory'][]>> = {
  paused: ['ram'],
  suspended: ['disk', 'none'],
}

export async function listSandboxes(
  context: Context,
  query: Parameters<UseCases['listSandboxes']>[0],
): Promise<{ sandboxes: Sandbox[]; total: number }> {
  const { status, all, metadata, name, mode, projectId, orgId, template, createdAfter, ...page } = query
  const found = await context.store.sandboxes.list({
    ...page,
    ...(status !== undefined ? withStatus(context, status) : all !== true && { states: LIVE_STATES }),
    ...(name !== undefined && { name }),
    ...(mode !== undefined && { mode }),
    ...(projectId !== undefined && { projectId }),
    ...(orgId !== undefined && { orgId }),
    ...(template !== undefined && { template }),
    ...(createdAfter !== undefined && { createdAfter: Date.parse(createdAfter) }),
    ...(metadata !== undefined && { metadata: parseMetadata(metadata) }),
  } satisfies SandboxQuery)
  return { sandboxes: found.items.map((record) => showSandbox(context, record)), total: found.total }
}

/** Those that have one of these statuses: of two that share a state, one alone narrows it and both together do not. */
function withStatus(context: Context, statuses: Status[]): Pick<SandboxQuery, 'states' | 'busy' | 'memory'> {
  const [running, idle] = [statuses.includes('running'), statuses.includes('idle')]
  const memory = statuses.flatMap((status) => MEMORY[status] ?? [])
  return {
    states: [...new Set(statuses.flatMap((status) => STATES[status]))],
    ...(running !== idle && { busy: { ids: busyIds(context), value: running } }),
    ...(memory.length > 0 && { memory }),
  }
}

function busyIds(context: Context): string[] {
  return [...context.live.values()].filter((live) => live.busy).map((live) => live.id)
}

/** @throws SandboxError `invalid_request` */
export function parseMetadata(text: string): Record<string, string> {
  try {
    const value: unknown = JSON.parse(text)
    if (
      typeof value === 'object' &&
      value !== null &&
      Object.values(value).every((v) => typeof v === 'string')
    ) {
      return value as Record<string, string>
    }
  } catch {
    // Told below like every other wrong shape.
  }
  throw new SandboxError('invalid_request', {
    issues: [{ path: 'metadata', message: 'must be a JSON object of strings' }],
  })
}

export async function listExecutions(
  context: Context,
  id: string,
  query: Parameters<UseCases['listExecutions']>[1],
): Promise<{ executions: Execution[]; total: number }> {
  const sandbox = await findSandbox(context, id)
  const { since, state, kind, tag, ...page } = query
  const { items, total } = await context.store.executions.list({
    sandboxId: sandbox.id,
    ...page,
    ...(state !== undefined && { state }),
    ...(kind !== undefined && { kind }),
    ...(tag !== undefined && { tag }),
    ...(since !== undefined && { since: Date.parse(since) }),
  })
  return { executions: items.map((record) => showExecution(context, record)), total }
}

export async function listEvents(
  context: Context,
  id: string,
  query: Parameters<UseCases['listEvents']>[1],
): Promise<{ events: Event[]; total: number }> {
  const sandbox = await findSandbox(context, id)
  const { type, ...page } = query
  const of = { sandboxId: sandbox.id, ...(type !== undefined && { type }) }
  const { items, total } = await context.store.events.list({ ...of, ...page })
  return { events: items.map(toEvent), total }
}
