import type { SandboxRecord } from '../../core/records.ts'
import type { GuestFiles } from '../../guest/guest.ts'
import { findLive } from '../awake.ts'
import { ask } from '../connection.ts'
import type { Context } from '../context.ts'
import type { Live } from '../live.ts'

/** Who does a file operation: the user that was asked for, the sandbox's, or the driver's own. */
export function asUser(context: Context, id: string, user: string | undefined): { user?: string } {
  const name = user ?? recordOf(context, id)?.user ?? context.driver.defaultUser
  return name === null ? {} : { user: name }
}

/** Without a wait: those that have not ended are all at hand. */
function recordOf({ live, paused }: Context, idOrName: string): SandboxRecord | undefined {
  const byId = live.get(idOrName)?.record ?? paused.get(idOrName)
  if (byId !== undefined) return byId
  const all = [...[...live.values()].map(({ record }) => record), ...paused.values()]
  return all.find(({ name }) => name === idOrName)
}

/** A request of any length; it counts as activity while it lasts, and the heartbeat watches over it. */
export async function use<T>(
  context: Context,
  id: string,
  work: (files: GuestFiles) => Promise<T>,
): Promise<T> {
  const { live, end } = await begin(context, id)
  try {
    const guest = await ask(context, live, async (reached) => reached)
    return await work(guest.files)
  } finally {
    end()
  }
}

/** A request that the agent answers at once, so that a silent agent is noticed. */
export async function quick<T>(
  context: Context,
  id: string,
  work: (files: GuestFiles, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { live, end } = await begin(context, id)
  try {
    return await ask(context, live, (guest, signal) => work(guest.files, signal))
  } finally {
    end()
  }
}

/** Opens something to read at the caller's pace; it counts as activity until `data` has ended or was left. */
export async function open<T extends { data: AsyncIterable<Uint8Array> }>(
  context: Context,
  id: string,
  work: (files: GuestFiles, signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const { live, end } = await begin(context, id)
  try {
    const opened = await ask(context, live, (guest, either) => work(guest.files, either), signal)
    return { ...opened, data: ending(opened.data, end) }
  } catch (error) {
    end()
    throw error
  }
}

async function begin(context: Context, id: string): Promise<{ live: Live; end: () => void }> {
  const live = await findLive(context, id, 'file')
  const done = live.begin(Date.now())
  const end = () => {
    done()
    context.reschedule()
  }
  return { live, end }
}

/** Unlike a generator it ends, too, when it is left before the first piece was asked for. */
function ending(data: AsyncIterable<Uint8Array>, end: () => void): AsyncIterableIterator<Uint8Array> {
  const pieces = data[Symbol.asyncIterator]()
  let ended = false
  const once = () => {
    if (!ended) end()
    ended = true
  }
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    next: async () => {
      try {
        const result = await pieces.next()
        if (result.done) once()
        return result
      } catch (error) {
        once()
        throw error
      }
    },
    return: async () => {
      once()
      await pieces.return?.()
      return { done: true, value: undefined }
    },
  }
}
