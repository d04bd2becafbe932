import type { GuestFiles } from '../guest/guest.ts'
import { ask } from './connection.ts'
import type { Context } from './context.ts'
import type { Live } from './live.ts'
import { findLive } from './lookup.ts'
import type { UseCases } from './use-cases.ts'

type FileUseCases = Pick<
  UseCases,
  | 'readFile'
  | 'writeFile'
  | 'statFile'
  | 'listFiles'
  | 'makeDirectory'
  | 'renameFile'
  | 'removeFile'
  | 'changeMode'
  | 'changeOwner'
>

/** File operations: each is one request to the agent, made as the user that was asked for. */
export function fileUseCases(context: Context): FileUseCases {
  const user = (input: { user?: string | undefined }) => asUser(context, input.user)
  return {
    readFile: async (id, { path, offset, length, ...rest }, signal) => {
      const live = await findLive(context, id)
      const end = live.begin(Date.now())
      const finish = () => {
        end()
        context.reschedule()
      }
      try {
        const options = { ...user(rest), offset, ...(length !== undefined && { length }) }
        const opened = await ask(
          context,
          live,
          (guest, either) => guest.files.read(path, options, either),
          signal,
        )
        return { stat: opened.stat, data: ending(opened.data, finish) }
      } catch (error) {
        finish()
        throw error
      }
    },
    writeFile: (id, { path, mode, parents, ...rest }, data, signal) =>
      use(context, id, (files) =>
        files.write(path, data, { ...user(rest), ...(mode !== undefined && { mode }), parents }, signal),
      ),
    statFile: (id, { path, follow, ...rest }) =>
      quick(context, id, (files, signal) => files.stat(path, { ...user(rest), follow }, signal)),
    listFiles: async (id, { path, ...rest }, signal) => {
      const entries = await use(context, id, (files) => files.list(path, user(rest), signal))
      return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
    },
    makeDirectory: (id, { path, mode, parents, ...rest }) =>
      quick(context, id, (files, signal) =>
        files.mkdir(path, { ...user(rest), ...(mode !== undefined && { mode }), parents }, signal),
      ),
    renameFile: (id, { path, target, ...rest }) =>
      quick(context, id, (files, signal) => files.rename(path, target, user(rest), signal)),
    removeFile: (id, { path, recursive, ...rest }, signal) =>
      use(context, id, (files) => files.remove(path, { ...user(rest), recursive }, signal)),
    changeMode: (id, { path, mode, ...rest }) =>
      quick(context, id, (files, signal) => files.chmod(path, mode, user(rest), signal)),
    changeOwner: (id, { path, uid, gid, ...rest }) =>
      quick(context, id, (files, signal) => files.chown(path, uid, gid, user(rest), signal)),
  }
}

/** The files of a create request, written before the sandbox is handed out. */
export async function writeInitialFiles(
  context: Context,
  live: Live,
  files: { path: string; content: string; encoding: 'utf8' | 'base64'; mode?: number | undefined }[],
  signal?: AbortSignal,
): Promise<void> {
  const guest = await live.guest()
  for (const { path, content, encoding, mode } of files) {
    const options = { ...asUser(context, undefined), ...(mode !== undefined && { mode }), parents: true }
    await guest.files.write(path, Buffer.from(content, encoding), options, signal)
  }
}

function asUser(context: Context, user: string | undefined): { user?: string } {
  const name = user ?? context.driver.defaultUser
  return name === null ? {} : { user: name }
}

/** A request of any length; it counts as activity while it lasts, and the heartbeat watches over it. */
async function use<T>(context: Context, id: string, work: (files: GuestFiles) => Promise<T>): Promise<T> {
  const live = await findLive(context, id)
  const end = live.begin(Date.now())
  try {
    const guest = await ask(context, live, async (reached) => reached)
    return await work(guest.files)
  } finally {
    end()
    context.reschedule()
  }
}

/** A request that the agent answers at once, so that a silent agent is noticed. */
async function quick<T>(
  context: Context,
  id: string,
  work: (files: GuestFiles, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const live = await findLive(context, id)
  const end = live.begin(Date.now())
  try {
    return await ask(context, live, (guest, signal) => work(guest.files, signal))
  } finally {
    end()
    context.reschedule()
  }
}

async function* ending(data: AsyncIterable<Uint8Array>, end: () => void): AsyncGenerator<Uint8Array> {
  try {
    yield* data
  } finally {
    end()
  }
}
