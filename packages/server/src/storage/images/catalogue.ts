import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SandboxError } from '@caisson/protocol/errors'
import type { Runtime } from '@caisson/protocol/resources'
import type { ImageFile, RuntimeImage } from './image-file.ts'
import type { CatalogueEntry, Images } from './images.ts'
import { type Imported, LayeredImages, type StoredImage } from './layered.ts'
import { isDerived, Recipe } from './recipe.ts'
import { readRecipeFiles } from './recipe-files.ts'
import { TreeImages } from './trees.ts'

export type { ImageFile, RuntimeImage } from './image-file.ts'
export type { CatalogueEntry, Images } from './images.ts'
export type { Imported, StoredImage } from './layered.ts'

export interface CatalogueOptions {
  runtimesDir: string
  /** Debian trees; several data directories may share it. */
  imagesDir: string
  /** What was built in sandboxes or imported lies in its `runtimes/`, since its saves do; absent: only trees are known. */
  dataDir?: string
}

/**
 * The runtimes that this installation has recipes for, those that were imported, and their images.
 * `current` holds the digest in use; it stays in use when the recipe changes, until the next build, so that a create
 * waits for a build only where there is none at all.
 */
export class Catalogue implements Images {
  readonly #recipes: string
  readonly #trees: TreeImages
  readonly #layered: LayeredImages
  #entries: Promise<CatalogueEntry[]> | undefined

  constructor({ runtimesDir, imagesDir, dataDir }: CatalogueOptions) {
    this.#recipes = runtimesDir
    this.#trees = new TreeImages(imagesDir, dataDir !== undefined && imagesDir.startsWith(`${dataDir}/`))
    this.#layered = new LayeredImages(dataDir === undefined ? null : join(dataDir, 'runtimes'))
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
    const recipes = (await this.entries()).map((entry) => this.#show(entry))
    const imported = (await this.#layered.imported()).map(showImported)
    const all = [...(await Promise.all(recipes)), ...imported]
    return all.sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  async get(reference: string): Promise<Runtime> {
    const entry = await this.entry(reference)
    if (entry !== null) return this.#show(entry)
    const imported = await this.#layered.findImported(idOf(reference))
    return showImported(imported ?? (await this.#unknown(reference)))
  }

  async entry(reference: string): Promise<CatalogueEntry | null> {
    const id = idOf(reference)
    const found = (await this.entries()).find((entry) => entry.recipe.id === id)
    if (found !== undefined) return found
    if ((await this.#layered.findImported(id)) === null) await this.#unknown(reference)
    return null
  }

  async resolve(reference: string): Promise<RuntimeImage> {
    const entry = await this.entry(reference)
    const id = idOf(reference)
    const image =
      entry === null
        ? await this.#layered.current(folderOf(id))
        : await this.#home(entry).current(entry.folder)
    if (image === null) throw new SandboxError('runtime_not_built', { runtime: id })
    return image
  }

  async byDigest(runtime: string, digest: string): Promise<RuntimeImage> {
    const entry = (await this.entries()).find(({ recipe }) => recipe.id === runtime)
    const folder = entry?.folder ?? folderOf(runtime)
    const found = (await this.#layered.find(folder, digest)) ?? (await this.#trees.find(folder, digest))
    if (found === null) throw new SandboxError('runtime_not_built', { runtime })
    return found
  }

  async source(entry: CatalogueEntry): Promise<string | null> {
    return (await this.#home(entry).currentFile(entry.folder))?.source ?? null
  }

  async addLayered({ folder }: CatalogueEntry, image: ImageFile): Promise<RuntimeImage> {
    return this.#layered.add(folder, image)
  }

  async addImported(imported: Imported): Promise<RuntimeImage> {
    const { id } = imported.described
    const taken = (await this.entries()).some(({ recipe }) => recipe.id === id)
    if (taken || (await this.#layered.findImported(id)) !== null)
      throw new SandboxError('runtime_exists', { runtime: id })
    return this.#layered.addImported(folderOf(id), imported)
  }

  async removeImported(reference: string): Promise<void> {
    const entry = await this.entry(reference)
    if (entry === null) return this.#layered.removeImported(folderOf(idOf(reference)))
    throw new SandboxError('not_supported', {
      what: `deleting runtime "${entry.recipe.id}"`,
      reason: 'it is one of the catalogue; only imported runtimes can be deleted',
    })
  }

  async stored(): Promise<StoredImage[]> {
    return [...(await this.#trees.stored()), ...(await this.#layered.stored())]
  }

  async unused(used: ReadonlySet<string>): Promise<StoredImage[]> {
    const stored = await this.stored()
    const kept = stored.filter(({ current, digest }) => current || used.has(digest))
    const below = new Set(kept.map(({ rootfs }) => rootfs))
    const needed = (image: StoredImage) =>
      kept.includes(image) || (image.kind === 'tree' && below.has(image.rootfs))
    return stored.filter((image) => !image.shared && !needed(image))
  }

  async remove(image: StoredImage): Promise<void> {
    await (image.kind === 'tree' ? this.#trees : this.#layered).remove(image)
  }

  async saves(): Promise<Set<string>> {
    return new Set((await this.#layered.stored()).flatMap(({ saves }) => saves))
  }

  /** The image of the Debian tree that a recipe begins with; null: it is not built. */
  tree(folder: string): Promise<RuntimeImage | null> {
    return this.#trees.current(folder)
  }

  /** Where the images of a recipe are. */
  #home({ recipe }: CatalogueEntry): TreeImages | LayeredImages {
    return isDerived(recipe) || recipe.npm !== undefined ? this.#layered : this.#trees
  }

  async #show(entry: CatalogueEntry): Promise<Runtime> {
    const { id, name, description, icon, color, url, tags, requirements, notes } = entry.recipe
    const current = await this.#home(entry).currentFile(entry.folder)
    const state = {
      source: 'recipe' as const,
      built: current !== null,
      createdAt: current?.builtAt ?? null,
    }
    return { id, name, description, icon, color, url, tags, requirements, notes, ...state }
  }

  async #unknown(reference: string): Promise<never> {
    throw new SandboxError('runtime_not_found', {
      runtime: reference,
      available: (await this.list()).map(({ id }) => id),
    })
  }
}

function showImported({ described, image }: Imported): Runtime {
  return { ...described, source: 'image', built: true, createdAt: image.builtAt }
}

/** `base` means `base:latest`. */
export function idOf(reference: string): string {
  return reference.includes(':') ? reference : `${reference}:latest`
}

/** Of an imported runtime; folders of recipes have no `@`. */
function folderOf(id: string): string {
  return id.replace(':', '@')
}

async function readEntries(recipesDir: string): Promise<CatalogueEntry[]> {
  const folders = (await readdir(recipesDir, { withFileTypes: true })).filter((entry) => entry.isDirectory())
  const entries = await Promise.all(folders.map(({ name }) => readEntry(recipesDir, name)))
  return entries.sort((a, b) => (a.recipe.id < b.recipe.id ? -1 : 1))
}

async function readEntry(recipesDir: string, folder: string): Promise<CatalogueEntry> {
  const file = join(recipesDir, folder, 'recipe.json')
  try {
    const recipe = Recipe.parse(JSON.parse(await readFile(file, 'utf8')))
    const hasFiles = !isDerived(recipe) && recipe.files === true
    const files = hasFiles ? await readRecipeFiles(join(recipesDir, folder, 'files')) : []
    return { folder, recipe, files }
  } catch (cause) {
    throw new Error(`The recipe ${file} is not valid: ${(cause as Error).message}`, { cause })
  }
}
