import type { Sandbox, Status } from '@caisson/protocol/resources'
import { invalid } from '../errors.ts'
import { findSource, getTemplateNamed, parseNamed, runtimeAlias, templateNames } from './names.ts'
import { numberIn, oneOf, page } from './pages.ts'
import type { Answer, Call, Dialect, Route } from './route.ts'
import { showListed } from './show.ts'

const STATES = { running: ['idle', 'running'], paused: ['paused', 'suspended'] } as const satisfies Record<
  string,
  Status[]
>
type State = keyof typeof STATES

/** Sandboxes, by what they are like. */
export function listingRoutes(dialect: Dialect): Route[] {
  return [
    {
      name: 'sandboxes.list',
      method: 'GET',
      path: '/sandboxes',
      auth: 'read',
      handle: async ({ query }) => {
        const found = await collect(dialect, { states: ['running'], ...metadataOf(query) })
        return { json: await show(dialect, found) }
      },
    },
    {
      name: 'sandboxes.listV2',
      method: 'GET',
      path: '/v2/sandboxes',
      auth: 'read',
      handle: (call) => list(dialect, call),
    },
  ]
}

interface Wanted {
  states: readonly State[]
  metadata?: string
  createdAfter?: string
  /** As our own queries name it. */
  template?: string
}

async function list(dialect: Dialect, { query }: Call): Promise<Answer> {
  const order = oneOf(query, 'order', ['desc', 'asc'])
  const limit = numberIn(query, 'limit', { min: 1, max: 100, fallback: 100 })
  const template = await templateOf(dialect, query.get('template'))
  const wanted = { states: statesOf(query), ...metadataOf(query), ...startedAfter(query) }
  const found =
    template === null
      ? []
      : await collect(dialect, { ...wanted, ...(template !== undefined && { template }) })
  const { items, headers } = page(found, { order, limit, token: query.get('nextToken') })
  return { json: await show(dialect, items), headers }
}

async function show({ useCases }: Dialect, sandboxes: Sandbox[]): Promise<object[]> {
  const hasTemplates = sandboxes.some(({ templateId }) => templateId !== null)
  const names = hasTemplates ? await templateNames(useCases) : new Map<string, string>()
  return sandboxes.map((sandbox) => showListed(sandbox, nameOf(sandbox, names)))
}

function nameOf(
  { templateId, snapshotId, runtime }: Sandbox,
  names: Map<string, string>,
): string | undefined {
  if (templateId !== null) return names.get(templateId)
  return snapshotId === null ? runtimeAlias(runtime) : undefined
}

/**
 * All that match, the oldest first. Each further page begins at the time of the last one, so that sandboxes that end
 * meanwhile move nothing out of sight.
 */
async function collect({ useCases }: Dialect, { states, ...wanted }: Wanted): Promise<Sandbox[]> {
  const status = states.flatMap((state) => STATES[state])
  const found = new Map<string, Sandbox>()
  const query = { status, sort: 'created', direction: 'asc', limit: 100, ...wanted } as const
  let from: { createdAfter?: string; offset: number } = { offset: 0 }
  for (;;) {
    const { sandboxes } = await useCases.listSandboxes({ ...query, ...from })
    const last = sandboxes.at(-1)
    for (const sandbox of sandboxes) found.set(sandbox.id, sandbox)
    if (last === undefined || sandboxes.length < query.limit) return [...found.values()]
    const same = sandboxes.every(({ createdAt }) => createdAt === last.createdAt)
    from = { createdAfter: last.createdAt, offset: same ? from.offset + sandboxes.length : 0 }
  }
}

function statesOf(query: URLSearchParams): State[] {
  const asked = query
    .getAll('state')
    .flatMap((text) => text.split(','))
    .filter((text) => text !== '')
  const wrong = asked.find((state) => !Object.hasOwn(STATES, state))
  if (wrong !== undefined) throw invalid('state', 'must be "running", "paused" or both with a comma between')
  return asked.length === 0 ? ['running', 'paused'] : (asked as State[])
}

/** A query within the query, whose keys and values are encoded once more. */
function metadataOf(query: URLSearchParams): { metadata?: string } {
  const text = query.get('metadata') ?? ''
  if (text === '') return {}
  try {
    const pairs = [...new URLSearchParams(text)].map((pair) => pair.map(decodeURIComponent))
    return { metadata: JSON.stringify(Object.fromEntries(pairs)) }
  } catch {
    throw invalid('metadata', 'must be a query string of percent-encoded keys and values')
  }
}

function startedAfter(query: URLSearchParams): { createdAfter?: string } {
  const text = query.get('startedAfter')
  if (text === null) return {}
  const time = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) throw invalid('startedAfter', 'must be a time such as "2026-01-31T12:00:00Z"')
  return { createdAfter: new Date(time).toISOString() }
}

/** @returns undefined: any; null: one that does not exist, so that nothing is made from it */
async function templateOf({ useCases }: Dialect, text: string | null): Promise<string | null | undefined> {
  if (text === null || text === '') return undefined
  const source = await findSource(useCases, text.toLowerCase())
  if (source !== null && 'runtime' in source) return source.runtime
  if (parseNamed(text)?.tag)
    throw invalid('template', 'cannot have a tag: sandboxes of all its builds are listed')
  if (source === null) return null
  return 'snapshot' in source ? source.snapshot : (await getTemplateNamed(useCases, source.template)).id
}
