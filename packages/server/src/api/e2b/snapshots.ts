import { operations } from '@caisson/protocol/operations'
import type { Snapshot } from '@caisson/protocol/resources'
import { z } from 'zod'
import { invalid } from '../errors.ts'
import { parse } from '../input.ts'
import { fromSandboxId } from './ids.ts'
import { parseNamed } from './names.ts'
import { numberIn, page } from './pages.ts'
import { withProcesses } from './processes.ts'
import type { Answer, Call, Dialect, Route } from './route.ts'
import { findSandbox } from './show.ts'

const NewSnapshot = z.object({ name: z.string().max(256).nullish() })

/** Snapshots are deleted as templates are; see templates.ts. */
export function snapshotRoutes(dialect: Dialect): Route[] {
  return [
    {
      name: 'snapshots.create',
      method: 'POST',
      path: '/sandboxes/{sandboxID}/snapshots',
      auth: 'exec',
      body: NewSnapshot,
      handle: (call) => create(dialect, call),
    },
    {
      name: 'snapshots.list',
      method: 'GET',
      path: '/snapshots',
      auth: 'read',
      handle: (call) => list(dialect, call),
    },
  ]
}

/** Their sandboxes start with the environment of this one, as if they were it. */
async function create(dialect: Dialect, { params, body }: Call): Promise<Answer> {
  const sandbox = await findSandbox(dialect, params.sandboxID ?? '')
  const { name } = body as z.output<typeof NewSnapshot>
  // Without a name it takes no other one's place.
  const asked = name ? namedAs(name) : { tag: null }
  const input = parse(operations.createSnapshot.body, { ...asked, env: true })
  const snapshot = await withProcesses(dialect, sandbox, (memory) =>
    dialect.useCases.createSnapshot(sandbox.id, { ...input, memory }),
  )
  return { status: 201, json: show(snapshot) }
}

/** Names are folded to lower case, as the service of these clients does. */
function namedAs(text: string): { name: string; tag?: string } {
  const named = parseNamed(text.toLowerCase())
  if (named === null)
    throw invalid(
      'name',
      `${JSON.stringify(text)} must be "name" or "name:tag"; there are no namespaces here`,
    )
  return { name: named.name, ...(named.tag !== null && { tag: named.tag }) }
}

async function list(dialect: Dialect, { query }: Call): Promise<Answer> {
  const limit = numberIn(query, 'limit', { min: 1, max: 100, fallback: 100 })
  const found = await collect(dialect, query.get('sandboxID') ?? '', query.get('name') ?? '')
  const { items, headers } = page(found, { order: 'desc', limit, token: query.get('nextToken') })
  return { json: items.map(show), headers }
}

/** The oldest first, so that a snapshot that is made meanwhile comes last. */
async function collect({ useCases }: Dialect, sandboxID: string, text: string): Promise<Snapshot[]> {
  const sandbox = sandboxID === '' ? null : fromSandboxId(sandboxID)
  const named = text === '' ? null : parseNamed(text.toLowerCase())
  if ((sandboxID !== '' && sandbox === null) || (text !== '' && named === null)) return []
  const query = {
    sort: 'created',
    direction: 'asc',
    limit: 100,
    ...(sandbox !== null && { sandbox }),
    ...(named !== null && { name: named.name, ...(named.tag !== null && { tag: named.tag }) }),
  } as const
  const found: Snapshot[] = []
  for (;;) {
    const { snapshots } = await useCases.listSnapshots({ ...query, offset: found.length })
    found.push(...snapshots)
    if (snapshots.length < query.limit) return found
  }
}

function show({ id, name, tag }: Snapshot): object {
  return { snapshotID: id, names: tag === null ? [] : [`${name}:${tag}`] }
}
