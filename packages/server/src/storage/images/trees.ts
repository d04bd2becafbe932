import { randomBytes } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type ImageFile, isDigest, namesIn, type RuntimeImage, readCurrent, readJson } from './image-file.ts'
import type { StoredImage } from './layered.ts'
import { programOf } from './recipe.ts'

/** Debian trees that were built on this host: `<folder>/<digest>/{rootfs,image.json}`, `<folder>/current`. */
export class TreeImages {
  readonly #directory: string
  readonly #own: boolean
  /** A digest's content never changes, so it is read once. */
  readonly #known = new Map<string, RuntimeImage>()

  /** @param own no other data directory has sandboxes on them. */
  constructor(directory: string, own: boolean) {
    this.#directory = directory
    this.#own = own
  }

  /** The image in use; null: none is built. */
  async current(folder: string): Promise<RuntimeImage | null> {
    const digest = await readCurrent(join(this.#directory, folder))
    return digest === null ? null : this.find(folder, digest)
  }

  async currentFile(folder: string): Promise<ImageFile | null> {
    const digest = await readCurrent(join(this.#directory, folder))
    return digest === null ? null : this.#read(folder, digest)
  }

  async find(folder: string, digest: string): Promise<RuntimeImage | null> {
    const path = join(folder, digest)
    const known = this.#known.get(path)
    if (known !== undefined) return known
    const file = await this.#read(folder, digest)
    if (file === null) return null
    const { runtime, user, env } = file
    const rootfs = join('images', path, 'rootfs')
    const image = { runtime, digest, rootfs, layers: [], user, env, ...programOf(file) }
    this.#known.set(path, image)
    return image
  }

  async stored(): Promise<StoredImage[]> {
    const folders = await namesIn(this.#directory)
    return (await Promise.all(folders.map((folder) => this.#storedIn(folder)))).flat()
  }

  /** Renamed first: whoever looks meanwhile sees it whole or not at all. */
  async remove({ folder, digest }: StoredImage): Promise<void> {
    this.#known.delete(join(folder, digest))
    const directory = join(this.#directory, folder)
    const doomed = join(directory, `.building-${process.pid}-${randomBytes(6).toString('hex')}`)
    await rename(join(directory, digest), doomed)
    await rm(doomed, { recursive: true, force: true })
  }

  async #storedIn(folder: string): Promise<StoredImage[]> {
    const directory = join(this.#directory, folder)
    const digests = (await namesIn(directory)).filter(isDigest)
    if (digests.length === 0) return []
    const current = await readCurrent(directory)
    const images = await Promise.all(digests.map((digest) => this.find(folder, digest)))
    return images.flatMap((image) => {
      if (image === null) return []
      const { runtime, digest, rootfs } = image
      const shared = !this.#own
      return [
        { kind: 'tree', folder, runtime, digest, rootfs, saves: [], current: digest === current, shared },
      ]
    })
  }

  #read(folder: string, digest: string): Promise<ImageFile | null> {
    if (!isDigest(digest)) return Promise.resolve(null)
    return readJson<ImageFile>(join(this.#directory, folder, digest, 'image.json'))
  }
}
