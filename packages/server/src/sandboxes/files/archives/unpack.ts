import { constants } from 'node:os'
import { getSystemErrorMessage } from 'node:util'
import { createGunzip } from 'node:zlib'
import { SandboxError } from '@caisson/protocol/errors'
import { newId } from '../../../core/ids.ts'
import { type GuestFiles, type TreeEntry, TreeFailure } from '../../../guest/guest.ts'
import type { Context } from '../../context.ts'
import type { UseCases } from '../../use-cases.ts'
import { asUser, quick, use } from '../access.ts'
import { namingEntry } from '../tree-error.ts'
import { ArchiveGuard } from './guard.ts'
import { GuestFileReader } from './guest-file-reader.ts'
import { gathered, peek, through } from './streams.ts'
import { type HardLink, readTar } from './tar-reader.ts'
import { readZip } from './zip-reader.ts'

type Bytes = AsyncIterable<Uint8Array>
type Format = 'tar' | 'tar.gz' | 'zip'

/** Enough to tell the formats apart. */
const MAGIC_BYTES = 4
const PIECE = 65_536

/**
 * Unpacks an archive below a directory of a sandbox. It is parsed here on its way and nothing of it is kept here; what
 * was written before an entry was refused stays.
 */
export function uploadArchive(
  context: Context,
  ...[id, { path, user, format }, data, signal]: Parameters<UseCases['uploadArchive']>
): ReturnType<UseCases['uploadArchive']> {
  const who = asUser(context, id, user)
  return use(context, id, async (files) => {
    const unpacking = new Unpacking(files, path, who, signal)
    const { guard } = unpacking
    const { head, all } = await peek(received(data), MAGIC_BYTES)
    if (head.length === 0) guard.refuse('it is empty')
    await files.mkdir(path, { ...who, parents: true }, signal)
    const found = format === 'auto' ? formatOf(head) : format
    if (found === 'tar') await unpacking.tar(measured(all, guard))
    else if (found === 'tar.gz') await unpacking.tar(inflated(all, guard))
    else {
      // A zip's directory is at its end: it is kept in the sandbox, beside what comes out of it, until it is unpacked.
      const kept = { path: `${path}/.archive`, resume: newId('tmp') }
      try {
        await unpacking.zip(all, kept)
      } finally {
        const options = { ...who, resume: kept.resume }
        const removed = quick(context, id, (again, until) => again.remove(kept.path, options, until))
        await removed.catch((err) => context.log.warn({ sandbox: id, err }, 'an archive stays in a sandbox'))
      }
    }
    return { files: guard.files, directories: guard.directories, links: guard.links, bytes: guard.bytes }
  })
}

function formatOf(head: Buffer): Format {
  const magic = head.toString('latin1', 0, MAGIC_BYTES)
  if (magic.startsWith('\x1f\x8b')) return 'tar.gz'
  return magic === 'PK\x03\x04' || magic === 'PK\x05\x06' ? 'zip' : 'tar'
}

/** One archive on its way into a directory. */
class Unpacking {
  readonly guard = new ArchiveGuard()
  readonly #files: GuestFiles
  readonly #path: string
  readonly #who: { user?: string }
  readonly #signal: AbortSignal | undefined

  constructor(files: GuestFiles, path: string, who: { user?: string }, signal: AbortSignal | undefined) {
    this.#files = files
    this.#path = path
    this.#who = who
    this.#signal = signal
  }

  async tar(data: Bytes): Promise<void> {
    const links: HardLink[] = []
    await this.#write(readTar(data, this.guard, links))
    if (links.length > 0) await this.#write(this.#copies(links))
  }

  async zip(data: Bytes, { path, resume }: { path: string; resume: string }): Promise<void> {
    const options = { ...this.#who, resume }
    // A size that it never reaches: it must not become a file.
    const unfinished = { ...options, offset: 0, size: Number.MAX_SAFE_INTEGER }
    const { offset: size } = await this.#files.writePart(path, data, unfinished, this.#signal)
    const reader = new GuestFileReader(async (offset, length) => {
      const range = { ...options, offset, length }
      return gathered((await this.#files.read(path, range, this.#signal)).data)
    })
    await this.#write(readZip(reader, size, this.guard))
  }

  /** A hard link is a copy of the file that it names, read back as it was written. */
  async *#copies(links: HardLink[]): AsyncGenerator<TreeEntry> {
    for (const { path, target } of links) {
      const source = `${this.#path}/${target}`
      const { stat, data } = await this.#files.read(source, this.#who, this.#signal)
      const { mode, mtimeMs, size } = stat
      this.guard.expanded(size, Number.POSITIVE_INFINITY)
      yield { type: 'file', path, mode: mode & 0o1777, mtimeMs, size, data }
      this.guard.files++
      this.guard.bytes += size
    }
  }

  /** Where the entries fail they end, and that is told later: what came before is written, and counted, first. */
  async #write(entries: AsyncIterable<TreeEntry>): Promise<void> {
    let failure: unknown = null
    async function* sound(): AsyncGenerator<TreeEntry> {
      try {
        yield* entries
      } catch (error) {
        failure = error
      }
    }
    try {
      await this.#files.writeTree(this.#path, sound(), this.#who, this.#signal)
    } catch (error) {
      failure = error
    }
    if (failure !== null) throw this.#explained(failure)
  }

  /** What the parsers throw and what would get out of the directory is the archive's fault; the rest is told as what it is. */
  #explained(error: unknown): unknown {
    const { guard } = this
    if (!(error instanceof SandboxError)) {
      if (!guard.begun) return guard.refusal('it is no archive that is known here: tar, tar.gz or zip', error)
      return guard.refusal(`the archive is damaged: ${(error as Error).message}`, error)
    }
    if (!(error.cause instanceof TreeFailure)) return error
    const { entry, entries } = error.cause
    if (!leadsOut(error)) return namingEntry(error, `${this.#path}/`)
    const details = { entry, entries, reason: 'it leads out of the directory through a link' }
    return new SandboxError('archive_refused', details, { cause: error })
  }
}

/** Whose fault it is: a client that breaks off has not sent a damaged archive. */
async function* received(data: Bytes): AsyncGenerator<Uint8Array> {
  try {
    yield* data
  } catch (cause) {
    throw new SandboxError('aborted', { what: 'The upload' }, { cause })
  }
}

async function* measured(data: Bytes, guard: ArchiveGuard): AsyncGenerator<Uint8Array> {
  for await (const piece of data) {
    guard.expanded(piece.length, Number.POSITIVE_INFINITY)
    yield piece
  }
}

async function* inflated(data: Bytes, guard: ArchiveGuard): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: PIECE })
  for await (const piece of through(data, gunzip)) {
    guard.expanded(piece.length, gunzip.bytesWritten)
    yield piece
  }
}

/** The agent opens every entry beneath the directory; a link that leads out of it is refused like another device. */
function leadsOut(error: SandboxError): boolean {
  const { reason } = error.details as { reason?: string }
  return reason?.endsWith(getSystemErrorMessage(-constants.errno.EXDEV)) === true
}
