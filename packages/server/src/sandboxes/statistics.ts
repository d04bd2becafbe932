import { SandboxError } from '@caisson/protocol/errors'
import type { Stats, Usage } from '@caisson/protocol/resources'
import { invalid } from '../core/invalid.ts'
import { LIVE_STATES } from '../core/lifecycle.ts'
import type { SandboxState } from '../core/records.ts'
import type { Context } from './context.ts'
import { endedError, findSandbox } from './lookup.ts'
import { sample } from './metering.ts'
import type { UseCases } from './use-cases.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** What a sandbox uses now, beside what it may use; one whose processes have ended in a pause uses nothing but disk. */
export async function getUsage(context: Context, idOrName: string): Promise<Usage> {
  const record = await findSandbox(context, idOrName)
  if (record.endedAt !== null) throw endedError(record)
  const { driver } = context
  if (driver.usage === undefined) {
    throw new SandboxError('not_supported', {
      what: 'Usage',
      reason: `the ${driver.name} driver does not measure`,
    })
  }
  const usage = await driver.usage(record.id)
  const lost = usage === null && record.state === 'ready' ? context.live.get(record.id) : undefined
  if (lost !== undefined) throw lost.lost('nothing of it runs')
  const { granted } = record
  return {
    ...(usage ?? NOTHING),
    cpuUsec: (usage?.cpuUsec ?? 0) + (record.trafficBefore.cpuUsec ?? 0),
    memoryLimitBytes: granted.memoryBytes,
    cpuMillis: granted.cpuMillis,
    pidsLimit: granted.pids,
    diskBytes: await diskBytes(context, record.id),
    diskLimitBytes: granted.diskBytes,
    sampledAt: new Date().toISOString(),
  }
}

const NOTHING = { memoryBytes: 0, cpuUsec: 0, pids: 0, oomKills: 0 }

/** What a sandbox has written; null: the storage does not count. */
async function diskBytes({ layers }: Context, id: string): Promise<number | null> {
  return (await layers.usage?.())?.roots.get(id) ?? null
}

/** Sandboxes now, and what they used between two dates; the hours that the dates lie in count whole. */
export async function getStats(context: Context, query: Parameters<UseCases['getStats']>[0]): Promise<Stats> {
  const end = query.end === undefined ? Date.now() : Date.parse(query.end)
  const start = query.start === undefined ? end - DAY_MS : Date.parse(query.start)
  if (start > end) throw invalid('start', 'must not be after the end')
  const owner = {
    ...(query.projectId !== undefined && { projectId: query.projectId }),
    ...(query.orgId !== undefined && { orgId: query.orgId }),
  }
  await sample(context)
  const used = await context.store.usage.sum({ start: start - (start % HOUR_MS), end, ...owner })
  return {
    start: new Date(start).toISOString(),
    end: new Date(end).toISOString(),
    ...(await countNow(context, owner)),
    totalExecutions: used.executions,
    totalCpuTimeMs: Math.round(used.cpuUsec / 1000),
    totalMemoryByteSec: used.memoryByteSec,
    totalNetworkEgressBytes: used.egressBytes,
  }
}

async function countNow(
  context: Context,
  owner: { projectId?: string; orgId?: string },
): Promise<Pick<Stats, 'totalActive' | 'running' | 'idle' | 'creating' | 'paused'>> {
  const count = async (states: SandboxState[], busy?: { ids: string[]; value: boolean }) => {
    const page = { sort: 'created', direction: 'desc', limit: 1, offset: 0 } as const
    const query = { states, ...owner, ...page, ...(busy !== undefined && { busy }) }
    return (await context.store.sandboxes.list(query)).total
  }
  const ids = [...context.live.values()].filter((live) => live.busy).map((live) => live.id)
  return {
    totalActive: await count(LIVE_STATES),
    running: await count(['ready'], { ids, value: true }),
    idle: await count(['ready'], { ids, value: false }),
    creating: await count(['creating']),
    paused: await count(['pausing', 'paused', 'resuming']),
  }
}
