import { chmod, lstat, mkdir, readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { replaceFile } from './finish.ts'
import { digestOf } from './recipe.ts'

/** A file that a recipe brings, as it will be in the image: of root, and readable by all. */
export interface RecipeFile {
  /** From the root of the image, without the first slash. */
  path: string
  executable: boolean
  data: Buffer
}

/**
 * Reads the folder of files beside a recipe. @returns them in the order of their paths
 * @throws Error that names what is neither a file nor a directory
 */
export async function readRecipeFiles(directory: string): Promise<RecipeFile[]> {
  const names = await readdir(directory, { recursive: true })
  const files = await Promise.all(names.sort().map((path) => readRecipeFile(directory, path)))
  return files.filter((file) => file !== null)
}

async function readRecipeFile(directory: string, path: string): Promise<RecipeFile | null> {
  const full = join(directory, path)
  const status = await lstat(full)
  if (status.isDirectory()) return null
  if (!status.isFile()) throw new Error(`${full} is neither a file nor a directory`)
  return { path, executable: (status.mode & 0o100) !== 0, data: await readFile(full) }
}

/** The same bytes at the same paths have the same digest. */
export function filesDigest(files: RecipeFile[]): string {
  return digestOf(files.map(({ path, executable, data }) => [path, executable, data.toString('base64')]))
}

/** Only for trees that nobody but the package manager has written: it opens paths inside them. */
export async function writeRecipeFiles(rootfs: string, files: RecipeFile[]): Promise<void> {
  for (const { path, executable, data } of files) {
    const target = join(rootfs, path)
    await makeDirectory(dirname(target))
    await replaceFile(target, data, executable ? 0o755 : 0o644)
  }
}

/** With those above it; all that were not there can be entered by everybody, whatever the server's umask. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return
    if (code !== 'ENOENT') throw error
    await makeDirectory(dirname(path))
    await mkdir(path)
  }
  await chmod(path, 0o755)
}
