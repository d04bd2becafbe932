import type { Event } from '@caisson/protocol/resources'
import { LEVELS, type LogLine, levelsFrom, pickLines } from './log-lines.ts'
import { numberIn, oneOf } from './pages.ts'
import type { Call, Dialect, Route } from './route.ts'
import { findSandbox } from './show.ts'

const PAGE = 100
const MAX_LINES = 1000
const MAX_TIME = 8_640_000_000_000_000

/** What happened to a sandbox, as lines of a log. Output of commands is not among them: it belongs to their callers. */
export function logRoutes(dialect: Dialect): Route[] {
  return [
    {
      name: 'sandboxes.logs',
      method: 'GET',
      path: '/sandboxes/{sandboxID}/logs',
      auth: 'read',
      handle: async (call) => {
        const lines = await linesOf(dialect, call, 'start')
        const logs = lines.map(({ timestamp, message }) => ({ timestamp, line: message }))
        return { json: { logs, logEntries: lines } }
      },
    },
    {
      name: 'sandboxes.logsV2',
      method: 'GET',
      path: '/v2/sandboxes/{sandboxID}/logs',
      auth: 'read',
      handle: async (call) => ({ json: { logs: await linesOf(dialect, call, 'cursor') } }),
    },
  ]
}

async function linesOf(
  dialect: Dialect,
  { params, query }: Call,
  from: 'start' | 'cursor',
): Promise<LogLine[]> {
  const { id } = await findSandbox(dialect, params.sandboxID ?? '')
  const direction = oneOf(query, 'direction', ['forward', 'backward'])
  const latest = direction === 'backward'
  return pickLines(events(dialect, id, latest ? 'desc' : 'asc'), {
    direction,
    from: numberIn(query, from, { min: 0, max: MAX_TIME, fallback: latest ? MAX_TIME : 0 }),
    limit: numberIn(query, 'limit', { min: 1, max: MAX_LINES, fallback: MAX_LINES }),
    levels: levelsFrom(oneOf(query, 'level', LEVELS)),
    search: query.get('search') ?? '',
  })
}

async function* events(
  { useCases }: Dialect,
  id: string,
  direction: 'asc' | 'desc',
): AsyncGenerator<LogLine> {
  for (let offset = 0; ; offset += PAGE) {
    const { events } = await useCases.listEvents(id, { limit: PAGE, offset, direction })
    yield* events.map(toLine)
    if (events.length < PAGE) return
  }
}

function toLine({ type, payload, createdAt }: Event): LogLine {
  const fields = Object.fromEntries(Object.entries(payload).map(([name, value]) => [name, textOf(value)]))
  const told = Object.entries(fields).map(([name, value]) => ` ${name}=${value}`)
  return {
    timestamp: createdAt,
    level: /failed|lost/.test(type) ? 'error' : 'info',
    message: `${type}${told.join('')}`,
    fields: { event: type, ...fields },
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}
