import type { Runtime } from '@caisson/protocol/resources'
import type { ImageFile, RuntimeImage } from './image-file.ts'
import type { Imported, StoredImage } from './layered.ts'
import type { Recipe } from './recipe.ts'
import type { RecipeFile } from './recipe-files.ts'

/** A recipe and the folder that names its images, `runtimes/<folder>/recipe.json`. */
export interface CatalogueEntry {
  folder: string
  recipe: Recipe
  /** What the recipe brings into its tree. */
  files: RecipeFile[]
}

/** The built and buildable runtimes, as the use cases see them. */
export interface Images {
  /** Recipes and imported images, by id. */
  list(): Promise<Runtime[]>
  /** @param reference `base:latest`, or `base` for the tag `latest`. @throws SandboxError `runtime_not_found` */
  get(reference: string): Promise<Runtime>
  /** The image in use. @throws SandboxError `runtime_not_found`, `runtime_not_built` */
  resolve(reference: string): Promise<RuntimeImage>
  /** The image that a sandbox was made from, in use or not. @throws SandboxError `runtime_not_built` when it is gone */
  byDigest(runtime: string, digest: string): Promise<RuntimeImage>
  /** The recipe of a runtime; null: it was imported. @throws SandboxError `runtime_not_found` */
  entry(reference: string): Promise<CatalogueEntry | null>
  /** What the image in use was made from; null: there is none. */
  source(entry: CatalogueEntry): Promise<string | null>
  /** Remembers an image that a builder made above another, and makes it the one in use. Its saves are there. */
  addLayered(entry: CatalogueEntry, image: ImageFile): Promise<RuntimeImage>
  /** Makes a runtime of what was imported. Its saves are there. @throws SandboxError `runtime_exists` */
  addImported(imported: Imported): Promise<RuntimeImage>
  /** The runtime is gone; its image stays until nothing was made from it. @throws SandboxError `runtime_not_found`, `not_supported` for one with a recipe */
  removeImported(reference: string): Promise<void>
  /** Every image that takes disk. */
  stored(): Promise<StoredImage[]>
  /** Those of them that are not in use and not below one that is. @param used digests that sandboxes and snapshots name */
  unused(used: ReadonlySet<string>): Promise<StoredImage[]>
  /** Forgets an image; its saves are then named by `saves` no more, unless another image has them. */
  remove(image: StoredImage): Promise<void>
  /** The saves of all stored images. */
  saves(): Promise<Set<string>>
}
