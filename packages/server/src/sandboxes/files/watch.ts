import { SandboxError } from '@caisson/protocol/errors'
import type { FileChange } from '@caisson/protocol/resources'
import { findLive } from '../awake.ts'
import { ask } from '../connection.ts'
import type { Context } from '../context.ts'
import type { Live } from '../live.ts'
import { endedError, findLiving } from '../lookup.ts'
import type { UseCases } from '../use-cases.ts'
import { asUser } from './access.ts'

type Changes = AsyncIterable<FileChange>

const OVERFLOW: FileChange = { type: 'overflow', path: '', target: null, fileType: null }

/** Looking on is no activity. A connection to the agent that breaks is made anew, and told as an overflow. */
export async function watchFiles(
  context: Context,
  ...[id, { path, user, recursive }, signal]: Parameters<UseCases['watchFiles']>
): ReturnType<UseCases['watchFiles']> {
  const live = await findLive(context, id, 'file')
  const options = { ...asUser(context, id, user), recursive }
  const left = new AbortController()
  const either = signal === undefined ? left.signal : AbortSignal.any([signal, left.signal])
  const watch = () => ask(context, live, (guest) => guest.files.watch(path, options, either), either)
  return changes(context, live, await watch(), watch, left)
}

async function* changes(
  context: Context,
  live: Live,
  first: Changes,
  again: () => Promise<Changes>,
  left: AbortController,
): AsyncGenerator<FileChange> {
  let watched = first
  try {
    for (;;) {
      try {
        yield* watched
        return
      } catch (error) {
        if (left.signal.aborted || !SandboxError.is(error, 'agent_lost')) throw error
        // Looking on does not resume a sandbox: it ends with the pause.
        const record = await findLiving(context, live.id)
        if (record.state === 'stopping') throw endedError(record)
        if (record.state !== 'ready') throw error
        watched = await again()
        yield OVERFLOW
      }
    }
  } finally {
    left.abort()
  }
}
