import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SandboxError } from '@caisson/protocol/errors'
import type { Runtime } from '@caisson/protocol/resources'
import type { Image } from '../layers.ts'
import { Recipe } from './recipe.ts'

/** A recipe and the folder that names its images, `runtimes/<folder>/recipe.json`. */
export interface CatalogueEntry {
  folder: string
  recipe: Recipe
}

/** An image with what commands in it start from. */
export interface RuntimeImage extends Image {
  user: Recipe['user']
  env: Recipe['env']
}

/** What lies beside a built tree, in `<folder>/<digest>/image.json`. */
export interface ImageFile {
  runtime: string
  digest: string
  user: Recipe['user']
  env: Recipe['env']
  packages: Record<string, string>
  builtAt: string
}

/** The built and buildable runtimes, as the use cases see them. */
export interface Images {
  list(): Promise<Runtime[]>
  /**
   * @param reference `base:latest`, or `base` for the tag `latest`.
   * @throws SandboxError `runtime_not_found`, `runtime_not_built`
   */
  resolve(reference: string): Promise<RuntimeImage>
}

/**
 * The runtimes that this installation has recipes for, and their built images in the images directory.
 * `<folder>/current` holds the digest in use; it stays in use when the recipe changes, until the next
 * `caisson setup` has built the new one, so a create never waits for a build.
 */
export class Catalogue implements Images {
  readonly #recipes: string
  readonly #built: string
  readonly #images = new Map<string, RuntimeImage>()
  #entries: Promise<CatalogueEntry[]> | undefined

  constructor(options: { runtimesDir: string; imagesDir: string }) {
    this.#recipes = options.runtimesDir
    this.#built = options.imagesDir
  }

  /** @returns every recipe, by id. @throws Error that names the file when a recipe is not valid. */
  entries(): Promise<CatalogueEntry[]> {
    this.#entries ??= readEntries(this.#recipes).catch((error) => {
      // A recipe that has been mended since is read again.
      this.#entries = undefined
      throw error
    })
    return this.#entries
  }

  async list(): Promise<Runtime[]> {
    const entries = await this.entries()
    return Promise.all(
      entries.map(async ({ folder, recipe }) => {
        const { id, name, description, icon, color, url, tags, requirements } = recipe
        const built = (await this.currentDigest(folder)) !== null
        return { id, name, description, icon, color, url, tags, requirements, built }
      }),
    )
  }

  /** @throws SandboxError `runtime_not_found` */
  async entry(reference: string): Promise<CatalogueEntry> {
    const id = reference.includes(':') ? reference : `${reference}:latest`
    const entries = await this.entries()
    const found = entries.find((entry) => entry.recipe.id === id)
    if (found) return found
    throw new SandboxError('runtime_not_found', {
      runtime: reference,
      available: entries.map((e) => e.recipe.id),
    })
  }

  async resolve(reference: string): Promise<RuntimeImage> {
    const { folder, recipe } = await this.entry(reference)
    const digest = await this.currentDigest(folder)
    if (digest === null) throw new SandboxError('runtime_not_built', { runtime: recipe.id })
    const path = join(folder, digest)
    // A digest's content never changes, so it is read once.
    const known = this.#images.get(path)
    if (known) return known
    const file = JSON.parse(await readFile(join(this.#built, path, 'image.json'), 'utf8')) as ImageFile
    const image = {
      runtime: recipe.id,
      digest,
      rootfs: join('images', path, 'rootfs'),
      user: file.user,
      env: file.env,
    }
    this.#images.set(path, image)
    return image
  }

  /** @returns the digest in use; null when none is built. */
  async currentDigest(folder: string): Promise<string | null> {
    try {
      const digest = (await readFile(join(this.#built, folder, 'current'), 'utf8')).trim()
      return /^[0-9a-f]{64}$/.test(digest) ? digest : null
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    }
  }
}

async function readEntries(recipesDir: string): Promise<CatalogueEntry[]> {
  const folders = (await readdir(recipesDir, { withFileTypes: true })).filter((entry) => entry.isDirectory())
  const entries = await Promise.all(folders.map(({ name }) => readEntry(recipesDir, name)))
  return entries.sort((a, b) => (a.recipe.id < b.recipe.id ? -1 : 1))
}

async function readEntry(recipesDir: string, folder: string): Promise<CatalogueEntry> {
  const file = join(recipesDir, folder, 'recipe.json')
  try {
    return { folder, recipe: Recipe.parse(JSON.parse(await readFile(file, 'utf8'))) }
  } catch (cause) {
    throw new Error(`The recipe ${file} is not valid: ${(cause as Error).message}`, { cause })
  }
}
