import { createReadStream, type Stats } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { posix } from 'node:path'
import { type Client, type FileSource, Files, SandboxError } from 'caisson'
import type { ReadEntry } from 'tar'
import { LocalFailure, localFailure, UsageError } from '../failure.ts'
import { Meter } from '../meter.ts'
import { nameFor } from './endpoint.ts'
import { statOf, told } from './local-file.ts'
import { type CopyOptions, type CopyReport, needsRecursive, tellSkipped } from './report.ts'

/** A place in a sandbox. */
interface Target {
  sandbox: string
  path: string
}

/**
 * Copies a file or a directory of this machine, or stdin when `local` is null, into a sandbox.
 *
 * @throws SandboxError; LocalFailure
 */
export async function upload(
  client: Client,
  local: string | null,
  target: Target,
  options: CopyOptions,
  signal: AbortSignal,
): Promise<CopyReport> {
  const files = new Files(client, target.sandbox)
  const there = local === null ? undefined : await statOf(local)
  if (local !== null && !there) throw new LocalFailure(`"${local}" does not exist on this machine.`)
  if (there?.isDirectory() && !options.recursive) throw new UsageError(needsRecursive(local!))
  if (local === null && target.path.endsWith('/'))
    throw new UsageError('What comes from stdin has no name: write the path of the file.')
  const name = local === null ? undefined : nameFor(local, 'local')
  const path = await place(files, target.path, name, options.user, signal)
  const report = { source: local ?? '-', destination: `${target.sandbox}:${path}` }
  const sent = there?.isDirectory()
    ? await sendTree(files, local!, there, path, options, signal)
    : await sendFile(files, local, there, path, options, signal)
  return { ...report, ...sent }
}

type Sent = Omit<CopyReport, 'source' | 'destination'>

/** Below the target when it is, or is written like, a directory. */
async function place(
  files: Files,
  target: string,
  name: string | undefined,
  user: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  if (name === undefined) return target
  if (target.endsWith('/')) return target + name
  const there = await files.stat(target, { user, follow: true, signal }).catch((error) => {
    if (SandboxError.is(error, 'file_not_found')) return undefined
    throw error
  })
  return there?.type === 'directory' ? posix.join(target, name) : target
}

async function sendFile(
  files: Files,
  local: string | null,
  stat: Stats | undefined,
  path: string,
  { strict, user, ...shows }: CopyOptions,
  signal: AbortSignal,
): Promise<Sent> {
  // What is no regular file has no size to believe, and no mode that a file should have.
  const regular = stat?.isFile() ? stat : undefined
  using meter = new Meter(local ?? 'stdin', regular?.size, shows)
  const { size, directoriesCreated } = await files.write(path, contentOf(local, regular), {
    ...(regular && { mode: regular.mode & 0o7777, size: regular.size }),
    parents: !strict,
    onProgress: ({ bytes }) => meter.at(bytes),
    user,
    signal,
  })
  return { bytesTransferred: size, filesTransferred: 1, directoriesCreated }
}

/** A regular file can be read again from any place, so that a broken connection is gone on with. */
function contentOf(local: string | null, regular: Stats | undefined): FileSource {
  if (local === null) return told(process.stdin, 'stdin')
  if (!regular) return told(createReadStream(local), local)
  return (start) => told(createReadStream(local, { start }), local)
}

async function sendTree(
  files: Files,
  local: string,
  stat: Stats,
  path: string,
  { strict, user, ...shows }: CopyOptions,
  signal: AbortSignal,
): Promise<Sent> {
  const directoriesCreated = await files
    .mkdir(path, { user, parents: !strict, mode: stat.mode & 0o7777, signal })
    .catch((error) => {
      // Without parents, one that is there is in the way; whatever it is, unpacking tells.
      if (SandboxError.is(error, 'file_exists')) return []
      throw error
    })
  const names = await readdir(local).catch((error) => {
    throw localFailure(error, local)
  })
  if (names.length === 0) return { bytesTransferred: 0, filesTransferred: 0, directoriesCreated }
  using meter = new Meter(local, undefined, shows)
  let skipped = 0
  const packed = await pack(local, names, () => skipped++)
  const archive = meter.through(told(packed, local))
  const sent = await files.upload(archive, { path, user, format: 'tar', signal })
  tellSkipped(skipped)
  return { bytesTransferred: sent.bytes, filesTransferred: sent.files, directoriesCreated }
}

/** Everything below a directory as a tar archive that is made while it is read; links stay links. */
async function pack(
  cwd: string,
  names: readonly string[],
  onSkip: () => void,
): Promise<AsyncIterable<Uint8Array>> {
  const { create } = await import('tar')
  // A name that begins with @ would be taken for an archive to include.
  const paths = names.map((name) => `./${name}`)
  const filter = (_path: string, stat: Stats | ReadEntry) => {
    if (!('isFile' in stat)) return true
    // Files with several names are sent as several files.
    stat.nlink = 1
    if (stat.isFile() || stat.isDirectory() || stat.isSymbolicLink()) return true
    // Pipes, sockets and devices would be waited for without end.
    onSkip()
    return false
  }
  return create({ cwd, strict: true, filter }, paths)
}
