import type { Execution } from '@caisson/protocol/resources'
import type { UseCases } from '../../sandboxes/use-cases.ts'
import { ConnectError } from './connect.ts'
import type { Selector } from './process-messages.ts'

/** The most that the use case gives at once. */
const PAGE = 100
/** Milliseconds in which the end of a process can still be asked for. */
const END_KEPT_MS = 30_000
/** Ended executions that are looked through for it. */
const MAX_ENDED = 1000

type Wanted = Parameters<UseCases['listExecutions']>[1]
type Lister = Pick<UseCases, 'listExecutions'>

/** Everything that runs in a sandbox, oldest first. */
export async function runningProcesses(useCases: Lister, sandbox: string): Promise<Execution[]> {
  const found: Execution[] = []
  for await (const each of executions(useCases, sandbox, { state: 'running', direction: 'asc' }))
    found.push(each)
  return found
}

/** @throws ConnectError `not_found`, `invalid_argument` */
export async function findRunning(useCases: Lister, sandbox: string, selector: Selector): Promise<Execution> {
  const found = await first(useCases, sandbox, selector, 'running', Number.POSITIVE_INFINITY, () => true)
  return found ?? notFound(selector)
}

/** One that runs, or has ended a moment ago. @throws ConnectError `not_found`, `invalid_argument` */
export async function findKnown(useCases: Lister, sandbox: string, selector: Selector): Promise<Execution> {
  const running = await first(useCases, sandbox, selector, 'running', Number.POSITIVE_INFINITY, () => true)
  const since = Date.now() - END_KEPT_MS
  const justEnded = ({ endedAt }: Execution) => endedAt !== null && Date.parse(endedAt) >= since
  return (
    running ?? (await first(useCases, sandbox, selector, 'ended', MAX_ENDED, justEnded)) ?? notFound(selector)
  )
}

/** The newest that matches: process ids are used again. */
async function first(
  useCases: Lister,
  sandbox: string,
  { pid, tag }: Selector,
  state: 'running' | 'ended',
  limit: number,
  test: (execution: Execution) => boolean,
): Promise<Execution | null> {
  if ((pid === undefined) === (tag === undefined))
    throw new ConnectError('invalid_argument', 'a process is named by its pid or by its tag')
  const wanted = { state, direction: 'desc', ...(tag !== undefined && { tag }) } as const
  let seen = 0
  for await (const each of executions(useCases, sandbox, wanted)) {
    if ((pid === undefined || each.pid === pid) && test(each)) return each
    if (++seen >= limit) return null
  }
  return null
}

async function* executions(
  useCases: Lister,
  sandbox: string,
  wanted: Omit<Wanted, 'limit' | 'offset'>,
): AsyncGenerator<Execution> {
  for (let offset = 0; ; offset += PAGE) {
    const page = await useCases.listExecutions(sandbox, { ...wanted, limit: PAGE, offset })
    yield* page.executions
    if (page.executions.length < PAGE) return
  }
}

function notFound({ pid, tag }: Selector): never {
  throw new ConnectError(
    'not_found',
    `process with ${tag === undefined ? `pid ${pid}` : `tag '${tag}'`} not found`,
  )
}
