import { SandboxError } from '@caisson/protocol/errors'

export interface ArchiveLimits {
  /** Bytes that an archive may expand to. */
  bytes: number
  entries: number
  /** How often larger than the archive its contents may be… */
  ratio: number
  /** …once they are more than so many bytes. */
  ratioFrom: number
}

export const ARCHIVE_LIMITS: ArchiveLimits = {
  bytes: 64 * 2 ** 30,
  entries: 1_000_000,
  ratio: 200,
  ratioFrom: 64 * 2 ** 20,
}

const MAX_NAME_BYTES = 4095

/**
 * Judges an archive while it is read: what its entries are called, how many they are and how large they become. What
 * an archive says is never used before it was judged here. Every refusal is `archive_refused` at the entry in hand.
 */
export class ArchiveGuard {
  files = 0
  directories = 0
  links = 0
  /** Of the files. */
  bytes = 0
  readonly #limits: ArchiveLimits
  #entry = ''
  #seen = 0
  #expanded = 0

  constructor(limits: ArchiveLimits = ARCHIVE_LIMITS) {
    this.#limits = limits
  }

  get entries(): number {
    return this.files + this.directories + this.links
  }

  /** Whether an entry was seen yet. */
  get begun(): boolean {
    return this.#seen > 0
  }

  /**
   * The next entry's path below the directory, in its shortest form; null: that directory itself.
   * @throws SandboxError `archive_refused` for a name that leads elsewhere
   */
  enter(name: string): string | null {
    this.#entry = name
    if (++this.#seen > this.#limits.entries) this.refuse(`it has more than ${this.#limits.entries} entries`)
    return this.path(name)
  }

  /** A path of an archive in its shortest form. */
  path(name: string): string | null {
    if (name === '') this.refuse('its name is empty')
    if (name.includes('\0')) this.refuse('its name contains NUL')
    if (name.startsWith('/')) this.refuse('its name is absolute')
    if (Buffer.byteLength(name) > MAX_NAME_BYTES)
      this.refuse(`its name is longer than ${MAX_NAME_BYTES} bytes`)
    const parts = name.split('/').filter((part) => part !== '' && part !== '.')
    if (parts.includes('..')) this.refuse('its name contains ".."')
    return parts.length === 0 ? null : parts.join('/')
  }

  /** Counts bytes that came out of so many of the archive. */
  expanded(bytes: number, compressed: number): void {
    this.#expanded += bytes
    const { bytes: most, ratio, ratioFrom } = this.#limits
    if (!(this.#expanded <= most)) this.refuse(`the archive expands to more than ${most} bytes`)
    if (this.#expanded > ratioFrom && this.#expanded > ratio * compressed)
      this.refuse(`the archive expands to more than ${ratio} times its size`)
  }

  /** @throws SandboxError `archive_refused` at the entry in hand */
  refuse(reason: string): never {
    throw this.refusal(reason)
  }

  refusal(reason: string, cause?: unknown): SandboxError<'archive_refused'> {
    const details = { entry: shorten(this.#entry), reason, entries: this.entries }
    return new SandboxError('archive_refused', details, { cause })
  }
}

function shorten(name: string): string {
  return name.length <= 300 ? name : `${name.slice(0, 300)}…`
}
