import { posix } from 'node:path'
import { SandboxError } from '@caisson/protocol/errors'
import type { FileChange } from '@caisson/protocol/resources'
import { z } from 'zod'
import type { UseCases } from '../../sandboxes/use-cases.ts'
import { Actor, actorOf } from './accounts.ts'
import { ConnectError, field, serverStream, unary } from './connect.ts'
import { toEntry } from './entries.ts'
import type { Call, Client, Dialect, Route } from './route.ts'
import { type WatchEvent, Watchers } from './watchers.ts'

const flag = field(z.boolean()).transform((value) => value ?? false)
const id = field(z.string()).transform((value) => value ?? '')
/** `allowNetworkMounts` asks for nothing here: sandboxes have none, and changes in a volume are told like all others. */
const watch = z.object({
  path: field(z.string()).transform((value) => value ?? ''),
  recursive: flag,
  includeEntry: flag,
})
type Watch = z.output<typeof watch>

/** The procedures that tell changes below a directory. */
export function watchRoutes({ useCases }: Dialect): Route[] {
  const watchers = new Watchers()
  return [
    serverStream(
      'filesystem.Filesystem/WatchDir',
      watch,
      async (asked, call, stream) => {
        const events = await eventsOf(useCases, call, asked, stream.signal)
        await stream.send({ start: {} })
        for await (const event of events) await stream.send({ filesystem: event })
      },
      { keepalive: { keepalive: {} } },
    ),
    unary('filesystem.Filesystem/CreateWatcher', watch, async (asked, call) => {
      const start = (signal: AbortSignal) => eventsOf(useCases, call, asked, signal)
      return { watcherId: await watchers.create(call.sandbox, start) }
    }),
    unary(
      'filesystem.Filesystem/GetWatcherEvents',
      z.object({ watcherId: id }),
      async ({ watcherId }, call) => ({
        events: watchers.take(call.sandbox, watcherId),
      }),
    ),
    unary('filesystem.Filesystem/RemoveWatcher', z.object({ watcherId: id }), async ({ watcherId }, call) => {
      watchers.remove(call.sandbox, watcherId)
      return {}
    }),
  ]
}

/** Resolves once the directory is watched. @param signal ends the watching */
async function eventsOf(
  useCases: UseCases,
  call: Call,
  asked: Watch,
  signal: AbortSignal,
): Promise<AsyncIterable<WatchEvent>> {
  const path = await actorOf(useCases, call).resolve(asked.path)
  const query = { path, user: Actor.user, recursive: asked.recursive }
  const changes = await useCases.watchFiles(call.sandbox, query, signal)
  const { sandbox, client } = call
  return asked.includeEntry
    ? withEntries(useCases, { sandbox, client, path }, toEvents(changes))
    : toEvents(changes)
}

/** @throws ConnectError `data_loss` when changes were lost: their protocol has no word for it, and going on would hide it */
async function* toEvents(changes: AsyncIterable<FileChange>): AsyncGenerator<WatchEvent> {
  for await (const change of changes) {
    if (change.type === 'overflow')
      throw new ConnectError(
        'data_loss',
        'changes came faster than they were read, and some were lost: watch again',
      )
    yield* eventsFor(change)
  }
}

/** What one of our changes is to them: a file that comes as a whole is created and written, a rename is two events. */
function* eventsFor({ type, path, target, content }: FileChange): Generator<WatchEvent> {
  const name = path === '' ? '.' : path
  yield { name, type: `EVENT_TYPE_${type.toUpperCase()}` }
  if (type === 'create' && content) yield { name, type: 'EVENT_TYPE_WRITE' }
  if (type === 'rename' && target !== null) yield { name: target, type: 'EVENT_TYPE_CREATE' }
}

/** A file that has gone already is told without. */
async function* withEntries(
  useCases: UseCases,
  { sandbox, client, path }: { sandbox: string; client: Client; path: string },
  events: AsyncIterable<WatchEvent>,
): AsyncGenerator<WatchEvent> {
  for await (const event of events) {
    const isThere = event.type !== 'EVENT_TYPE_REMOVE' && event.type !== 'EVENT_TYPE_RENAME'
    if (!isThere) {
      yield event
      continue
    }
    const full = posix.join(path, event.name)
    try {
      const query = { path: full, user: Actor.user, follow: false, attributes: true }
      yield { ...event, entry: toEntry(full, await useCases.statFile(sandbox, query), client) }
    } catch (error) {
      if (!SandboxError.is(error, 'file_not_found')) throw error
      yield event
    }
  }
}
