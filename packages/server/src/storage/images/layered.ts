import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Runtime } from '@caisson/protocol/resources'
import {
  type ImageFile,
  isDigest,
  namesIn,
  type RuntimeImage,
  readCurrent,
  readJson,
  writeCurrent,
  writeJson,
} from './image-file.ts'
import { programOf } from './recipe.ts'

/** An image on disk, in use or not. */
export interface StoredImage {
  /** `tree`: a directory of its own; `layered`: made of saves, or of another image with saves above. */
  kind: 'tree' | 'layered'
  folder: string
  runtime: string
  digest: string
  rootfs: string
  /** The saves that it is made of. */
  saves: string[]
  /** New sandboxes of the runtime get it. */
  current: boolean
  /** Other data directories may use it: not ours to remove. */
  shared: boolean
}

/** A runtime that was made from an image of somebody else's. */
export interface Imported {
  /** `id` is what it is called. */
  described: Omit<Runtime, 'source' | 'built' | 'createdAt'>
  /** With `rootfs` and `layers`. */
  image: ImageFile
}

/**
 * Images that are made of saves of the storage pool: `<folder>/<digest>.json`, `<folder>/current`, and for those that
 * were imported `<folder>/runtime.json`, which holds what the catalogue says of them.
 */
export class LayeredImages {
  readonly #directory: string | null

  /** @param directory null: there are none. */
  constructor(directory: string | null) {
    this.#directory = directory
  }

  async current(folder: string): Promise<RuntimeImage | null> {
    const file = await this.currentFile(folder)
    return file && toImage(file)
  }

  async currentFile(folder: string): Promise<ImageFile | null> {
    if (this.#directory === null) return null
    const digest = await readCurrent(join(this.#directory, folder))
    return digest === null ? null : this.#read(folder, digest)
  }

  async find(folder: string, digest: string): Promise<RuntimeImage | null> {
    const file = await this.#read(folder, digest)
    return file && toImage(file)
  }

  async add(folder: string, image: ImageFile): Promise<RuntimeImage> {
    const directory = join(this.#home(), folder)
    await writeJson(directory, `${image.digest}.json`, image)
    await writeCurrent(directory, image.digest)
    return toImage(image)
  }

  async imported(): Promise<Imported[]> {
    const folders = (await this.#folders()).filter((name) => name.includes('@'))
    const found = await Promise.all(folders.map((folder) => this.#readImported(folder)))
    return found.filter((imported) => imported !== null)
  }

  async findImported(id: string): Promise<Imported | null> {
    // Names with other characters are no runtimes, and no files either.
    return /^[a-z0-9][\w.-]*:\w[\w.-]*$/.test(id) ? this.#readImported(id.replace(':', '@')) : null
  }

  /** It is there as soon as its description is, which comes last. */
  async addImported(folder: string, { described, image }: Imported): Promise<RuntimeImage> {
    const added = await this.add(folder, image)
    await writeJson(join(this.#home(), folder), 'runtime.json', described)
    return added
  }

  async removeImported(folder: string): Promise<void> {
    for (const name of ['runtime.json', 'current'])
      await rm(join(this.#home(), folder, name), { force: true })
  }

  async stored(): Promise<StoredImage[]> {
    const found = await Promise.all((await this.#folders()).map((folder) => this.#storedIn(folder)))
    return found.flat()
  }

  async remove({ folder, digest }: StoredImage): Promise<void> {
    await rm(join(this.#home(), folder, `${digest}.json`), { force: true })
  }

  async #storedIn(folder: string): Promise<StoredImage[]> {
    const directory = join(this.#home(), folder)
    const current = await readCurrent(directory)
    const digests = (await namesIn(directory)).flatMap((name) => {
      const digest = name.replace(/\.json$/, '')
      return isDigest(digest) ? [digest] : []
    })
    const images = await Promise.all(digests.map((digest) => this.find(folder, digest)))
    return images.flatMap((image) => {
      if (image === null) return []
      const { runtime, digest, rootfs, layers } = image
      const saves = [...layers, ...(rootfs.startsWith('saves/') ? [rootfs.slice('saves/'.length)] : [])]
      return [
        {
          kind: 'layered',
          folder,
          runtime,
          digest,
          rootfs,
          saves,
          current: digest === current,
          shared: false,
        },
      ]
    })
  }

  async #readImported(folder: string): Promise<Imported | null> {
    if (this.#directory === null) return null
    const described = await readJson<Imported['described']>(join(this.#directory, folder, 'runtime.json'))
    const image = await this.currentFile(folder)
    return described && image && { described, image }
  }

  #read(folder: string, digest: string): Promise<ImageFile | null> {
    if (this.#directory === null || !isDigest(digest)) return Promise.resolve(null)
    return readJson<ImageFile>(join(this.#directory, folder, `${digest}.json`))
  }

  #folders(): Promise<string[]> {
    return this.#directory === null ? Promise.resolve([]) : namesIn(this.#directory)
  }

  #home(): string {
    if (this.#directory === null) throw new Error('this catalogue keeps no images of saves')
    return this.#directory
  }
}

function toImage(file: ImageFile): RuntimeImage {
  const { runtime, digest, rootfs = '', layers = [], user, env } = file
  return { runtime, digest, rootfs, layers, user, env, ...programOf(file) }
}
