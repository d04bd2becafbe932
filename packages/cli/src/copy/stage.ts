import { chmod, link, mkdir, open, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { ReadEntry } from 'tar'
import { LocalFailure, localFailure } from '../failure.ts'
import { PERMISSIONS } from './local-file.ts'

/** What came out of an archive. */
export interface Counts {
  files: number
  bytes: number
  directories: number
  links: number
  /** Devices, pipes and sockets, which are left out. */
  skipped: number
}

/** The new directory. What is in `#folders` and `#files` was made by us, so that no link is ever passed through. */
export class Stage {
  readonly counts: Counts = { files: 0, bytes: 0, directories: 0, links: 0, skipped: 0 }
  readonly #root: string
  readonly #folders = new Map<string, number | undefined>([['', undefined]])
  readonly #files = new Set<string>()

  constructor(root: string) {
    this.#root = root
  }

  async take(entry: ReadEntry): Promise<void> {
    const path = partsOf(entry.path, entry.path).join('/')
    try {
      await this.#put(entry, path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST')
        throw refused(entry.path, 'it is there twice, or stands on something that is no directory')
      throw localFailure(error, entry.path)
    }
    entry.resume()
  }

  async #put(entry: ReadEntry, path: string): Promise<void> {
    if (entry.type === 'Directory' || entry.type === 'GNUDumpDir') return this.#folder(path, entry.mode)
    if (path === '') throw refused(entry.path, 'it has no name')
    await this.#folder(path.split('/').slice(0, -1).join('/'))
    switch (entry.type) {
      case 'File':
      case 'OldFile':
      case 'ContiguousFile':
        return this.#file(entry, path)
      case 'SymbolicLink':
        this.counts.links++
        return symlink(entry.linkpath ?? '', join(this.#root, path))
      case 'Link':
        return this.#hardLink(entry, path)
      default:
        this.counts.skipped++
    }
  }

  /** Makes a directory, and those above it, unless they were made before. */
  async #folder(path: string, mode?: number): Promise<void> {
    if (this.#folders.has(path)) {
      if (mode !== undefined && path !== '') this.#folders.set(path, mode)
      return
    }
    await this.#folder(path.split('/').slice(0, -1).join('/'))
    await mkdir(join(this.#root, path), 0o755)
    this.#folders.set(path, mode)
    this.counts.directories++
  }

  async #file(entry: ReadEntry, path: string): Promise<void> {
    const file = await open(join(this.#root, path), 'wx', 0o600)
    try {
      for await (const part of entry) {
        await file.appendFile(part)
        this.counts.bytes += part.length
      }
      await file.chmod((entry.mode ?? 0o644) & PERMISSIONS)
    } finally {
      await file.close()
    }
    this.#files.add(path)
    this.counts.files++
  }

  /** A second name of a file that came before. */
  async #hardLink(entry: ReadEntry, path: string): Promise<void> {
    const first = partsOf(entry.linkpath ?? '', entry.path).join('/')
    if (!this.#files.has(first))
      throw refused(entry.path, 'it is a link to a file that is not in the archive')
    await link(join(this.#root, first), join(this.#root, path))
    this.#files.add(path)
    this.counts.files++
  }

  /**
   * Last, and the innermost first: a directory that may not be written to could not be filled. Those that were there
   * before stay as they are.
   */
  async applyModes(final: string, kept: ReadonlySet<string>): Promise<void> {
    for (const [path, mode] of [...this.#folders].reverse()) {
      const place = join(final, path)
      if (mode !== undefined && !kept.has(place)) await chmod(place, mode & PERMISSIONS)
    }
  }
}

/** The parts of a path of an archive, none of which leads upwards. */
function partsOf(path: string, entry: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  if (path.startsWith('/') || parts.includes('..') || path.includes('\0'))
    throw refused(entry, 'it leads out of the directory')
  return parts
}

const refused = (entry: string, reason: string): LocalFailure =>
  new LocalFailure(
    `The archive that came was refused at ${JSON.stringify(entry)}: ${reason}. Nothing of it was kept.`,
  )
