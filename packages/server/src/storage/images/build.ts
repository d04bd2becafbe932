import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { SandboxError } from '@caisson/protocol/errors'
import type { CatalogueEntry, ImageFile } from './catalogue.ts'
import { debootstrap } from './debian.ts'
import { finishTree } from './finish.ts'
import { recipeDigest } from './recipe.ts'

export interface BuildOptions {
  /** `<data>/images`, or a directory that several data directories share. */
  imagesDir: string
  /** Called with each step as it begins. */
  progress: (step: string) => void
}

/** Makes a tree at a path that does not exist yet, and writes what its tools say to the log. */
export type MakeTree = typeof debootstrap

/**
 * Builds a runtime's image unless its digest is there already, and makes it the current one.
 * Needs root, and the network when it builds. Safe to be killed, and to run twice at once: the image appears by
 * one rename, `current` changes after it, and what a killed build left is removed by the next.
 * @throws SandboxError `host_not_ready` with the end of the log and the log's path.
 */
export async function buildRuntime(
  { folder, recipe }: CatalogueEntry,
  { imagesDir, progress }: BuildOptions,
  signal?: AbortSignal,
  makeTree: MakeTree = debootstrap,
): Promise<{ digest: string; built: boolean }> {
  const images = join(imagesDir, folder)
  const digest = recipeDigest(recipe)
  await mkdir(images, { recursive: true, mode: 0o755 })
  const present = (await readdir(images)).includes(digest)
  if (!present) {
    await removeLeftovers(images)
    const parent = await mkdtemp(join(images, `.building-${process.pid}-`))
    await using _ = { [Symbol.asyncDispose]: () => rm(parent, { recursive: true, force: true }) }
    const work = join(parent, 'image')
    await mkdir(work, { mode: 0o755 })
    await using log = await open(join(images, `${digest.slice(0, 12)}.log`), 'w', 0o644)
    try {
      await makeTree(recipe, join(work, 'rootfs'), log, progress, signal)
      progress('finishing the image')
      await finishTree(join(work, 'rootfs'), recipe)
    } catch (cause) {
      signal?.throwIfAborted()
      throw await buildFailed(recipe.id, images, digest, cause)
    }
    const { user, env } = recipe
    const packages = await installedPackages(join(work, 'rootfs'))
    const file: ImageFile = {
      runtime: recipe.id,
      digest,
      user,
      env,
      packages,
      builtAt: new Date().toISOString(),
    }
    await writeFile(join(work, 'image.json'), `${JSON.stringify(file, null, 2)}\n`)
    // On disk before it has a name: after a crash of the host an image is whole or absent.
    await promisify(execFile)('sync', ['--file-system', work])
    await publish(work, join(images, digest))
  }
  await setCurrent(images, digest)
  return { digest, built: !present }
}

/** Another build of the same digest may have been first: its tree is as good as ours. */
async function publish(work: string, target: string): Promise<void> {
  try {
    await rename(work, target)
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

async function setCurrent(images: string, digest: string): Promise<void> {
  const temporary = join(images, `.building-${process.pid}-${randomBytes(6).toString('hex')}`)
  await writeFile(temporary, `${digest}\n`, { flag: 'wx', mode: 0o644, flush: true })
  await rename(temporary, join(images, 'current'))
}

/** Removes the work of builds whose process is gone. */
async function removeLeftovers(images: string): Promise<void> {
  for (const name of await readdir(images)) {
    const pid = /^\.building-(\d+)-/.exec(name)?.[1]
    if (pid && !isAlive(Number(pid))) await rm(join(images, name), { recursive: true, force: true })
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

async function buildFailed(
  id: string,
  images: string,
  digest: string,
  cause: unknown,
): Promise<SandboxError> {
  const log = join(images, `${digest.slice(0, 12)}.log`)
  const tail = (await readFile(log, 'utf8')).trimEnd().split('\n').slice(-12).join('\n')
  const what = `the runtime "${id}" could not be built: ${(cause as Error).message}`
  const fix = `The end of the log:\n${tail}\nThe whole log is ${log}. Mend the cause, then run "caisson setup" again.`
  return new SandboxError('host_not_ready', { what, fix }, { cause })
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
