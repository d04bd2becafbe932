import { resolve } from 'node:path'
import { type Client, Files } from 'caisson'
import { UsageError } from '../failure.ts'
import { Meter } from '../meter.ts'
import { toStdout } from '../stdio.ts'
import { nameFor } from './endpoint.ts'
import { makeParents, placeLocally, replaceFile } from './local-file.ts'
import { type CopyOptions, type CopyReport, needsRecursive, tellSkipped } from './report.ts'
import { unpackTar } from './unpack.ts'

/** Something in a sandbox. */
interface Source {
  sandbox: string
  path: string
}

/**
 * Copies a file or a directory of a sandbox to this machine, or a file to stdout when `local` is null. What comes is
 * not trusted: nothing of it gets out of the target.
 *
 * @throws SandboxError; LocalFailure
 */
export async function download(
  client: Client,
  { sandbox, path }: Source,
  local: string | null,
  options: CopyOptions,
  signal: AbortSignal,
): Promise<CopyReport> {
  const { user } = options
  const files = new Files(client, sandbox)
  const info = await files.stat(path, { user, follow: true, signal })
  const isFolder = info.type === 'directory'
  if (isFolder && local === null)
    throw new UsageError('A directory cannot go to stdout: see "caisson fs download".')
  if (isFolder && !options.recursive) throw new UsageError(needsRecursive(`${sandbox}:${path}`))
  const source = `${sandbox}:${path}`
  const content = () => files.stream(path, { user, signal })
  if (local === null) {
    const bytesTransferred = await toStdout(content())
    return { source, destination: '-', bytesTransferred, filesTransferred: 1, directoriesCreated: [] }
  }
  const destination = await placeLocally(local, nameFor(path, 'sandbox'))
  const directoriesCreated = options.strict ? [] : makeParents(destination)
  using meter = new Meter(source, isFolder ? undefined : info.size, options)
  if (!isFolder) {
    const bytesTransferred = await replaceFile(destination, info.mode, meter.through(content()))
    return { source, destination, bytesTransferred, filesTransferred: 1, directoriesCreated }
  }
  const archive = await files.download(path, { user, format: 'tar', signal })
  const unpacked = await unpackTar(meter.through(archive), destination, info.mode)
  tellSkipped(unpacked.skipped + (archive.skipped ?? 0))
  return {
    source,
    destination,
    bytesTransferred: unpacked.bytes,
    filesTransferred: unpacked.files,
    directoriesCreated: unpacked.isNew ? [...directoriesCreated, resolve(destination)] : directoriesCreated,
  }
}
