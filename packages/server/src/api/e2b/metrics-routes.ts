import { SandboxError } from '@caisson/protocol/errors'
import type { UsageSample } from '@caisson/protocol/resources'
import { invalid } from '../errors.ts'
import { fromSandboxId } from './ids.ts'
import { numberIn } from './pages.ts'
import type { Answer, Call, Dialect, Route } from './route.ts'
import { findSandbox } from './show.ts'

/** Sandboxes that can be asked for at once. */
const MAX_IDS = 100
const LAST_SECOND = 253_402_300_799

/** What sandboxes used. */
export function metricsRoutes(dialect: Dialect): Route[] {
  return [
    {
      name: 'sandboxes.metrics',
      method: 'GET',
      path: '/sandboxes/{sandboxID}/metrics',
      auth: 'read',
      handle: (call) => ofOne(dialect, call),
    },
    {
      name: 'sandboxes.metricsOfMany',
      method: 'GET',
      path: '/sandboxes/metrics',
      auth: 'read',
      handle: (call) => ofMany(dialect, call),
    },
  ]
}

async function ofOne(dialect: Dialect, { params, query }: Call): Promise<Answer> {
  const { id } = await findSandbox(dialect, params.sandboxID ?? '')
  const start = secondOf(query, 'start')
  const end = secondOf(query, 'end')
  if (start !== null && end !== null && start > end) throw invalid('start', 'must not be after the end')
  const samples = await dialect.useCases.listUsage(id, {
    ...(start !== null && { start: new Date(start * 1000).toISOString() }),
    // The second that is named belongs to it.
    ...(end !== null && { end: new Date(end * 1000 + 999).toISOString() }),
  })
  return { json: samples.map(show) }
}

/** The last sample of each; those that do not exist or run are left out. */
async function ofMany(dialect: Dialect, { query }: Call): Promise<Answer> {
  const asked = query
    .getAll('sandbox_ids')
    .flatMap((text) => text.split(','))
    .filter((text) => text !== '')
  if (asked.length === 0 || asked.length > MAX_IDS)
    throw invalid('sandbox_ids', `must be 1 to ${MAX_IDS} ids`)
  const found = await Promise.all(asked.map(async (text) => [text, await lastSample(dialect, text)] as const))
  const sandboxes = found.flatMap(([text, sample]) => (sample ? [[text, show(sample)] as const] : []))
  return { json: { sandboxes: Object.fromEntries(sandboxes) } }
}

async function lastSample({ useCases }: Dialect, text: string): Promise<UsageSample | undefined> {
  const id = fromSandboxId(text)
  if (id === null) return undefined
  try {
    return (await useCases.listUsage(id, {})).at(-1)
  } catch (error) {
    if (SandboxError.is(error, 'sandbox_not_found')) return undefined
    throw error
  }
}

function secondOf(query: URLSearchParams, name: string): number | null {
  if ((query.get(name) ?? '') === '') return null
  return numberIn(query, name, { min: 0, max: LAST_SECOND, fallback: 0 })
}

/** What the kernel holds for files is part of the memory in use, and not counted apart. */
function show(sample: UsageSample): object {
  const { at, cpuMillis, cpuPercent, memoryBytes, memoryLimitBytes, diskBytes, diskLimitBytes } = sample
  return {
    timestamp: at,
    timestampUnix: Math.floor(Date.parse(at) / 1000),
    cpuCount: Math.max(1, Math.ceil(cpuMillis / 1000)),
    cpuUsedPct: cpuMillis === 0 ? 0 : Math.round((100_000 * cpuPercent) / cpuMillis) / 100,
    memUsed: memoryBytes,
    memTotal: memoryLimitBytes,
    memCache: 0,
    diskUsed: diskBytes ?? 0,
    diskTotal: diskLimitBytes ?? 0,
  }
}
