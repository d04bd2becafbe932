import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  type FileHandle,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { SandboxError } from '@caisson/protocol/errors'
import { certificates } from './certificates.ts'
import { type AptSettings, debootstrap } from './debian.ts'
import { finishTree } from './finish.ts'
import { type ImageFile, readCurrent, readJson, removeLeftovers, writeCurrent } from './image-file.ts'
import { type DebianRecipe, digestOf, programOf, recipeDigest } from './recipe.ts'
import { filesDigest, type RecipeFile, writeRecipeFiles } from './recipe-files.ts'
import { unpackInto } from './unpack.ts'

export interface BuildOptions {
  /** `<data>/images`, or a directory that several data directories share. */
  imagesDir: string
  /** Called with each step as it begins. */
  progress: (step: string) => void
  /** Builds anew what is there already, under another digest. */
  force?: boolean
  /** The operator's HTTP proxy; absent: what the host's apt is set up with. */
  proxy?: string | null
  /** PEM file of certificate authorities to trust beside the host's. */
  caFile?: string | null
  /** Where packages to unpack come from; default: the public one. */
  npmRegistry?: string
  /** Called with the digest of what was built before it is made the current one; when it rejects, it is not. */
  check?: (digest: string) => Promise<void>
}

/** Makes a tree at a path that does not exist yet, and writes what its tools say to the log. */
export type MakeTree = typeof debootstrap

/** A recipe with a tree, and the folder of its images. */
export interface TreeEntry {
  folder: string
  recipe: DebianRecipe
  files: RecipeFile[]
}

/**
 * Builds the Debian tree of a runtime unless it is there already, and makes it the current one.
 * Needs root, and the network when it builds. Safe to be killed, and to run twice at once: the image appears by
 * one rename, `current` changes after it, and what a killed build left is removed by the next.
 * @throws SandboxError `build_failed` with the end of the log and the log's path.
 */
export async function buildTree(
  { folder, recipe, files }: TreeEntry,
  options: BuildOptions,
  signal?: AbortSignal,
  makeTree: MakeTree = debootstrap,
): Promise<{ digest: string; built: boolean }> {
  const images = join(options.imagesDir, folder)
  const source = recipeDigest(recipe, files.length === 0 ? null : filesDigest(files))
  await mkdir(images, { recursive: true, mode: 0o755 })
  const present = options.force ? null : await findPresent(images, source)
  const nonce = randomBytes(8).toString('hex')
  const digest = present ?? (options.force ? digestOf({ source, nonce }) : source)
  if (present === null) {
    await build(images, { recipe, files }, { digest, source }, options, makeTree, signal)
    await options.check?.(digest)
  }
  await writeCurrent(images, digest)
  return { digest, built: present === null }
}

/** @returns the digest of an image that was made from this; the one in use before others. */
async function findPresent(images: string, source: string): Promise<string | null> {
  const current = await readCurrent(images)
  if (current !== null) {
    const file = await readJson<ImageFile>(join(images, current, 'image.json'))
    if (file !== null && (file.source ?? file.digest) === source) return current
  }
  return (await readdir(images)).includes(source) ? source : null
}

async function build(
  images: string,
  { recipe, files }: Omit<TreeEntry, 'folder'>,
  { digest, source }: { digest: string; source: string },
  options: BuildOptions,
  makeTree: MakeTree,
  signal: AbortSignal | undefined,
): Promise<void> {
  await removeLeftovers(images)
  const parent = await mkdtemp(join(images, `.building-${process.pid}-`))
  await using _ = { [Symbol.asyncDispose]: () => rm(parent, { recursive: true, force: true }) }
  const work = join(parent, 'image')
  const rootfs = join(work, 'rootfs')
  await mkdir(work, { mode: 0o755 })
  await using log = await open(join(images, logName(digest)), 'w', 0o644)
  let packages: Record<string, string>
  try {
    const settings = await apt(options, parent)
    await makeTree(recipe, rootfs, { log, phase: options.progress, apt: settings }, signal)
    options.progress('finishing the image')
    await finishTree(rootfs, recipe)
    await writeRecipeFiles(rootfs, files)
    packages = await installedPackages(rootfs)
    // Last: what others have packed may lie where it likes, so nothing here opens a path in the tree after it.
    const source = { registry: options.npmRegistry ?? PUBLIC_REGISTRY, ...settings }
    for (const one of recipe.debian.unpack ?? [])
      await unpackInto(rootfs, one, source, parent, options, signal)
  } catch (cause) {
    signal?.throwIfAborted()
    throw await buildFailed(recipe.id, join(images, logName(digest)), log, cause)
  }
  const { id: runtime, user, env } = recipe
  const builtAt = new Date().toISOString()
  const file: ImageFile = { runtime, digest, source, user, env, packages, builtAt, ...programOf(recipe) }
  await writeFile(join(work, 'image.json'), `${JSON.stringify(file, null, 2)}\n`)
  // On disk before it has a name: after a crash of the host an image is whole or absent.
  await promisify(execFile)('sync', ['--file-system', work])
  await publish(work, join(images, digest))
}

/** @param directory where a file may be written for the time of the build */
async function apt({ proxy, caFile }: BuildOptions, directory: string): Promise<AptSettings> {
  if (!caFile) return { proxy: proxy ?? null, caFile: null }
  const bundle = join(directory, 'certificates.pem')
  await writeFile(bundle, await certificates(caFile))
  return { proxy: proxy ?? null, caFile: bundle }
}

const PUBLIC_REGISTRY = 'https://registry.npmjs.org/'

const logName = (digest: string): string => `${digest.slice(0, 12)}.log`

/** Another build of the same digest may have been first: its tree is as good as ours. */
async function publish(work: string, target: string): Promise<void> {
  try {
    await rename(work, target)
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

async function buildFailed(id: string, path: string, log: FileHandle, cause: unknown): Promise<SandboxError> {
  await log.sync()
  const tail = (await readFile(path, 'utf8')).trimEnd().split('\n').slice(-12).join('\n')
  const reason = (cause as Error).message
  const what = `The runtime "${id}"`
  return new SandboxError(
    'build_failed',
    { what, reason, log: `${tail}\nThe whole log is ${path}.` },
    { cause },
  )
}

/** Package → version, from the image's own package database. */
async function installedPackages(rootfs: string): Promise<Record<string, string>> {
  const status = await readFile(join(rootfs, 'var/lib/dpkg/status'), 'utf8')
  const rows = status.split('\n\n').map((paragraph) => {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(paragraph)?.[1]
    return [field('Package'), field('Version')]
  })
  return Object.fromEntries(rows.filter(([name, version]) => name && version))
}
