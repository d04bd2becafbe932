import { posix } from 'node:path'
import { createGunzip } from 'node:zlib'
import { SandboxError } from '@caisson/protocol/errors'
import type { BuildStep } from '@caisson/protocol/resources'
import type { ExactEntry } from '../../guest/exact-tree.ts'
import { isMounted } from '../archives/own-files.ts'
import { printable } from '../archives/printable.ts'
import { TarError } from '../archives/tar/byte-reader.ts'
import { readTar, type TarRead } from '../archives/tar/reader.ts'
import { ARCHIVE_LIMITS } from '../files/archives/guard.ts'
import { peek, through } from '../files/archives/streams.ts'
import { readBuildFiles } from './build-files.ts'
import { pathIn, type StepState } from './step-state.ts'
import { StepFailure, type Workshop } from './workshop.ts'

type CopyStep = Extract<BuildStep, { type: 'copy' }>
type Bytes = AsyncIterable<Uint8Array>

const GZIP = '1f8b'
const WILDCARD = /[*?[{]|[!+@]\(/
/** Directories that have to be made for what is copied. */
const PARENT_MODE = 0o755

/**
 * Copies from an uploaded archive into the template. `source` names a file, which becomes `target`, or comes into it
 * where that ends with a slash or is a directory; or a directory, whose contents come into `target`. Of a pattern the
 * directory before its first wildcard counts, because the archive holds what it has found and nothing else.
 * Directories that are there stay as they are; all else that is written belongs to the step's user.
 * @throws StepFailure
 */
export async function copyFiles(workshop: Workshop, step: CopyStep, state: StepState): Promise<void> {
  const target = await pathIn(workshop, step.target, state)
  const isDirectory = step.target.endsWith('/') || step.target === '.' || step.target.endsWith('/.')
  const copy = new Copy(workshop, {
    source: bytesOf(fixedPart(step.source)),
    target: bytesOf(target),
    intoTarget: isDirectory || (await workshop.stat(target))?.type === 'directory',
    owner: await workshop.ownerOf(step.user ?? state.user),
    mode: step.mode,
  })
  const data = readBuildFiles(workshop.context, step.files, workshop.signal)
  try {
    const files = await workshop.files
    await files.writeExactly('/', copy.entries(await expanded(data)), workshop.signal)
  } catch (error) {
    throw explained(error)
  }
  if (copy.count === 0)
    throw new StepFailure(`The files that were uploaded have nothing at "${step.source}".`)
}

/** A path below the archive's root, without a slash at its ends; '': the root. */
function fixedPart(source: string): string {
  const parts = posix.normalize(source).split('/')
  const wild = parts.findIndex((part) => WILDCARD.test(part))
  const fixed = wild < 0 ? parts : parts.slice(0, wild)
  return fixed.filter((part) => part !== '' && part !== '.').join('/')
}

/** As archives and the agent have names: a character for each byte. */
function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1')
}

/** What the storage has no room for ends it; this ends what would take for ever. */
async function expanded(data: Bytes): Promise<Bytes> {
  const { head, all } = await peek(data, 2)
  const tar = head.toString('hex', 0, 2) === GZIP ? through(all, createGunzip()) : all
  return bounded(tar)
}

async function* bounded(data: Bytes): AsyncGenerator<Uint8Array> {
  let left = ARCHIVE_LIMITS.bytes
  for await (const piece of data) {
    left -= piece.length
    if (left < 0) throw new TarError(`it is larger than ${ARCHIVE_LIMITS.bytes} bytes`)
    yield piece
  }
}

/** What an honest client's archive may hold that cannot be written. */
function explained(error: unknown): unknown {
  const { code } = error as { code?: unknown }
  const isDamaged = error instanceof TarError || (typeof code === 'string' && code.startsWith('Z_'))
  if (isDamaged)
    return new StepFailure(
      `The files that were uploaded are no whole tar archive: ${(error as Error).message}.`,
    )
  if (error instanceof SandboxError && !SandboxError.is(error, 'agent_lost'))
    return new StepFailure(error.message, { cause: error })
  return error
}

interface Plan {
  source: string
  target: string
  /** A file comes into the target, and does not become it. */
  intoTarget: boolean
  owner: { uid: number; gid: number }
  mode: number | undefined
}

class Copy {
  /** Entries that lay at the source. */
  count = 0
  readonly #workshop: Workshop
  readonly #plan: Plan
  /** Directories that are there by now. */
  readonly #there = new Set<string>(['/'])

  constructor(workshop: Workshop, plan: Plan) {
    this.#workshop = workshop
    this.#plan = plan
  }

  /** Paths are the sandbox's own, from its root on. */
  async *entries(tar: Bytes): AsyncGenerator<ExactEntry> {
    for await (const entry of readTar(tar, { strict: false, maxEntries: ARCHIVE_LIMITS.entries })) {
      const path = this.#targetOf(entry.path, entry.type === 'directory')
      if (path === null) continue
      this.count++
      if (entry.type === 'directory') yield* this.#directory(path, this.#modeOf(entry))
      else {
        yield* this.#directory(posix.dirname(path), PARENT_MODE)
        yield this.#written(entry, path)
      }
    }
  }

  /** Where an entry goes; null: it is not part of what is copied. */
  #targetOf(name: string, isDirectory: boolean): string | null {
    const path = below(name)
    const { source, target, intoTarget } = this.#plan
    const inside = source === '' ? path : path === source ? '' : withoutPrefix(path, `${source}/`)
    if (inside === null) return null
    if (inside !== '') return join(target, inside)
    if (isDirectory) return target
    return intoTarget ? join(target, posix.basename(path)) : target
  }

  /** A directory and those above it, as far as they are missing. */
  async *#directory(path: string, mode: number): AsyncGenerator<ExactEntry> {
    if (this.#there.has(path)) return
    yield* this.#directory(posix.dirname(path), PARENT_MODE)
    this.#there.add(path)
    const known = await this.#workshop.stat(Buffer.from(path, 'latin1').toString('utf8'))
    if (known?.type === 'directory') return
    yield { ...this.#meta(path, mode, BigInt(Date.now()) * 1_000_000n), type: 'directory' }
  }

  #written(entry: TarRead, path: string): ExactEntry {
    const { type, mtimeNs } = entry
    const meta = this.#meta(path, this.#modeOf(entry), mtimeNs)
    if (type === 'file') return { ...meta, type, size: entry.size, data: entry.data }
    if (type === 'symlink') return { ...meta, type, link: entry.link }
    if (type !== 'hardlink')
      throw new TarError(`its entry "${printable(entry.path)}" is no file, directory or link`)
    const linked = this.#targetOf(entry.link, false)
    if (linked === null) throw new TarError(`"${printable(entry.path)}" is a link to what is not copied`)
    return { ...meta, type, target: linked.slice(1) }
  }

  /** A directory can be entered by those who may read it. */
  #modeOf({ type, mode }: TarRead): number {
    const { mode: asked } = this.#plan
    if (asked === undefined) return mode & 0o7777
    return type === 'directory' ? asked | ((asked & 0o444) >> 2) : asked
  }

  #meta(path: string, mode: number, mtimeNs: bigint) {
    if (isMounted(path.slice(1))) throw new TarError(`nothing can be copied to "${printable(path)}"`)
    return { path: path.slice(1), mode, ...this.#plan.owner, mtimeNs, xattrs: new Map<string, string>() }
  }
}

/** A path of an archive below its root. @throws TarError for one that leads out of it */
function below(name: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..') || name.includes('\0')) throw new TarError('an entry leads out of it')
  return parts.join('/')
}

function withoutPrefix(path: string, prefix: string): string | null {
  return path.startsWith(prefix) ? path.slice(prefix.length) : null
}

function join(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`
}
