import type { Build, BuildLogEntry } from '@caisson/protocol/resources'
import { invalid } from '../errors.ts'
import { LEVELS, levelsFrom, pickLines } from './log-lines.ts'
import { numberIn, oneOf } from './pages.ts'
import type { Answer, Call, Dialect, Route } from './route.ts'
import { buildOf } from './template-build.ts'
import { showStatus } from './template-show.ts'

/** Entries that a client gets at once. */
const PAGE = 100
const MAX_TIME = 8_640_000_000_000_000

export function statusRoutes(dialect: Dialect): Route[] {
  const one = (rest: string) => `/templates/{templateID}/builds/{buildID}/${rest}`
  return [
    {
      name: 'templates.status',
      method: 'GET',
      path: one('status'),
      auth: 'read',
      handle: (call) => status(dialect, call),
    },
    {
      name: 'templates.logs',
      method: 'GET',
      path: one('logs'),
      auth: 'read',
      handle: (call) => logs(dialect, call),
    },
  ]
}

/** Asked for again and again, from the entry after the last one; of a build that has ended, until there are none. */
async function status(dialect: Dialect, { params, query }: Call): Promise<Answer> {
  if (query.get('level') !== null)
    throw invalid('level', 'is not supported here, where entries are counted; ask for the logs instead')
  const offset = numberIn(query, 'logsOffset', { min: 0, max: Number.MAX_SAFE_INTEGER, fallback: 0 })
  const limit = numberIn(query, 'limit', { min: 1, max: PAGE, fallback: PAGE })
  // In this order: what is told of a build that has ended has all been told before.
  const build = await buildOf(dialect, params)
  const entries = await dialect.useCases.readBuildLog(build.id, { offset, limit })
  const reason = await reasonOf(dialect, build)
  const json = {
    templateID: build.templateId,
    buildID: build.id,
    status: showStatus(build),
    logEntries: entries.map(show),
    logs: [],
    ...(reason && { reason }),
  }
  return { json }
}

async function logs(dialect: Dialect, { params, query }: Call): Promise<Answer> {
  const build = await buildOf(dialect, params)
  const direction = oneOf(query, 'direction', ['forward', 'backward'])
  const latest = direction === 'backward'
  const lines: Line[] = []
  for await (const line of entriesOf(dialect, build.id)) lines.push(line)
  const picked = await pickLines(inOrder(latest ? lines.reverse() : lines), {
    direction,
    from: numberIn(query, 'cursor', { min: 0, max: MAX_TIME, fallback: latest ? MAX_TIME : 0 }),
    limit: numberIn(query, 'limit', { min: 1, max: PAGE, fallback: PAGE }),
    levels: levelsFrom(oneOf(query, 'level', LEVELS)),
    search: '',
  })
  return { json: { logs: picked } }
}

/** Clients show the place in the caller's source: of the step, or of the first or last line of the template. */
async function reasonOf(dialect: Dialect, build: Build): Promise<{ message: string; step: string } | null> {
  if (build.status !== 'failed') return null
  const { message, step } = build.reason ?? { message: 'The build failed.', step: null }
  if (step !== null) return { message, step: String(step) }
  for await (const line of entriesOf(dialect, build.id))
    if (line.step !== undefined) return { message, step: 'finalize' }
  return { message, step: 'base' }
}

type Line = ReturnType<typeof show>

async function* entriesOf({ useCases }: Dialect, build: string): AsyncGenerator<Line> {
  for (let offset = 0; ; ) {
    const entries = await useCases.readBuildLog(build, { offset, limit: 1000 })
    yield* entries.map(show)
    if (entries.length === 0) return
    offset += entries.length
  }
}

async function* inOrder(lines: Line[]): AsyncGenerator<Line> {
  yield* lines
}

function show({ at, level, step, message }: BuildLogEntry) {
  return { timestamp: at, level, message, ...(step !== null && { step: String(step) }) }
}
