import { chmod, lstat, mkdtemp, readdir, realpath, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { LocalFailure, localFailure } from '../failure.ts'
import { PERMISSIONS, statOf } from './local-file.ts'
import { type Counts, Stage } from './stage.ts'

/** What came out of an archive. */
export interface Unpacked extends Counts {
  /** The target was not there before. */
  isNew: boolean
}

/**
 * Unpacks a tar archive as the directory `target`. The archive comes from a sandbox, and is hostile: everything goes
 * into a new directory of ours first, in which nothing is ever replaced and no link is followed, and an entry that
 * would leave it ends the work. Only when the archive is whole do its parts take their places, each by a rename, so
 * that a copy that breaks off leaves nothing.
 *
 * @throws LocalFailure; whatever `body` throws
 */
export async function unpackTar(
  body: AsyncIterable<Uint8Array>,
  target: string,
  mode: number,
): Promise<Unpacked> {
  const there = await statOf(target)
  if (there && !there.isDirectory()) throw new LocalFailure(`"${target}" is no directory.`)
  const final = there ? await realpath(target) : target
  const staging = await mkdtemp(join(there ? final : dirname(final), '.caisson-')).catch((error) => {
    throw localFailure(error, target)
  })
  try {
    const stage = new Stage(staging)
    await readTar(body, stage)
    const kept = await settle(staging, final).catch((error) => {
      throw localFailure(error, target)
    })
    if (!there) await chmod(final, mode & PERMISSIONS)
    await stage.applyModes(final, kept)
    return { ...stage.counts, isNew: there === undefined }
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

/** Feeds the parser, one entry after the other, at the pace at which they are written. */
async function readTar(body: AsyncIterable<Uint8Array>, stage: Stage): Promise<void> {
  const { Parser } = await import('tar')
  const { promise: failed, reject } = Promise.withResolvers<never>()
  failed.catch(() => {})
  let taken = Promise.resolve()
  const parser = new Parser({
    strict: true,
    onReadEntry: (entry) => {
      taken = taken.then(() => stage.take(entry))
      taken.catch(reject)
    },
  })
  parser.on('error', (error) =>
    reject(new LocalFailure(`The archive that came is damaged: ${error.message}`, { cause: error })),
  )
  let whole = false
  parser.on('eof', () => {
    whole = true
  })
  let next: () => void = () => {}
  parser.on('drain', () => next())
  for await (const part of body) {
    if (parser.write(part)) continue
    await Promise.race([new Promise<void>((resolve) => (next = resolve)), failed])
  }
  const ended = new Promise<void>((resolve) => parser.once('end', resolve))
  parser.end()
  await Promise.race([ended, failed])
  await Promise.race([taken, failed])
  if (!whole) throw new LocalFailure('The archive that came is cut off. Nothing of it was kept.')
}

/**
 * Moves what was unpacked into place: whole directories where there is none, else their entries one by one. A link
 * that stands where a directory was to be is not followed.
 *
 * @returns directories that were there before
 */
async function settle(from: string, to: string, kept = new Set<string>()): Promise<Set<string>> {
  if (!(await lstatOf(to))) {
    await rename(from, to)
    return kept
  }
  kept.add(to)
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    const old = await lstatOf(target)
    if (entry.isDirectory() && old?.isDirectory()) await settle(source, target, kept)
    else if (old && entry.isDirectory())
      throw new LocalFailure(`"${target}" stands where a directory was to be.`)
    else if (old?.isDirectory()) throw new LocalFailure(`"${target}" is a directory where a file was to be.`)
    else await rename(source, target)
  }
  return kept
}

async function lstatOf(path: string) {
  try {
    return await lstat(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
