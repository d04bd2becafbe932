import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Image } from '../layers.ts'
import type { DebianRecipe, ImageProgram } from './recipe.ts'

/** An image with what commands in it start from. */
export interface RuntimeImage extends Image, ImageProgram {
  user: DebianRecipe['user']
  env: DebianRecipe['env']
}

/** What is remembered of an image that was built or imported. */
export interface ImageFile extends ImageProgram {
  runtime: string
  digest: string
  /** Digest of what it was made from: when it differs, the image is out of date. Absent: it is the digest. */
  source?: string
  user: DebianRecipe['user']
  env: DebianRecipe['env']
  packages: Record<string, string>
  builtAt: string
  /** As in `Image`; absent: the tree beside the file. */
  rootfs?: string
  layers?: string[]
}

const DIGEST = /^[0-9a-f]{64}$/

export function isDigest(text: string): boolean {
  return DIGEST.test(text)
}

/** @returns null when there is none. */
export async function readJson<T>(path: string): Promise<T | null> {
  const text = await readOrNull(path)
  return text === null ? null : (JSON.parse(text) as T)
}

/** @returns the digest that the file `current` of a directory holds; null when there is none. */
export async function readCurrent(directory: string): Promise<string | null> {
  const digest = (await readOrNull(join(directory, 'current')))?.trim() ?? ''
  return isDigest(digest) ? digest : null
}

export async function writeCurrent(directory: string, digest: string): Promise<void> {
  await writeWhole(directory, 'current', `${digest}\n`)
}

export async function writeJson(directory: string, name: string, value: unknown): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 })
  await writeWhole(directory, name, `${JSON.stringify(value, null, 2)}\n`)
}

/** Appears by a rename: readers see the file before or after. */
async function writeWhole(directory: string, name: string, text: string): Promise<void> {
  const temporary = join(directory, `.building-${process.pid}-${randomBytes(6).toString('hex')}`)
  await writeFile(temporary, text, { flag: 'wx', mode: 0o644, flush: true })
  await rename(temporary, join(directory, name))
}

/** @returns the names in a directory; none when it is absent. */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort()
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return []
    throw error
  }
}

/** Removes what builds left whose process is gone. */
export async function removeLeftovers(directory: string): Promise<void> {
  for (const name of await namesIn(directory)) {
    const pid = /^\.building-(\d+)-/.exec(name)?.[1]
    if (pid && !isAlive(Number(pid))) await rm(join(directory, name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
