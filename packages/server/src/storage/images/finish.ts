import { chmod, copyFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PUBLIC_MIRRORS, sourceLines } from './mirror.ts'
import type { DebianRecipe } from './recipe.ts'

/** What a sandbox mounts over; a read-only layer cannot gain a directory later. */
const MOUNT_POINTS = ['proc', 'sys', 'dev', 'run', '.caisson']

/** Emptied: what the build left, and what says something about the machine it was built on. */
const EMPTIED = [
  'dev',
  'run',
  'tmp',
  'var/tmp',
  'var/log',
  'var/cache/apt',
  'var/cache/debconf',
  'var/lib/apt/lists',
]

/** Packages give these a capability that no sandbox has, without which they would not even start; they need none there. */
const WITHOUT_CAPABILITIES = ['usr/bin/ping']

/**
 * Turns a freshly built tree into an image: user rights, names, environment, mount points; nothing of the host.
 * Only for trees that nobody but the package manager has written: it opens paths inside them.
 */
export async function finishTree(rootfs: string, recipe: DebianRecipe): Promise<void> {
  for (const path of EMPTIED) await empty(join(rootfs, path))
  for (const path of MOUNT_POINTS) await mkdir(join(rootfs, path), { recursive: true, mode: 0o755 })
  for (const path of ['tmp', 'var/tmp']) await chmod(join(rootfs, path), 0o1777)
  await rm(join(rootfs, 'etc/apt/apt.conf.d/99mmdebstrap'), { force: true })
  for (const path of WITHOUT_CAPABILITIES) await dropCapabilities(join(rootfs, path))
  for (const [path, content] of Object.entries(files(recipe))) await replaceFile(join(rootfs, path), content)
  if (recipe.user.sudo) {
    const rule = `${recipe.user.name} ALL=(ALL:ALL) NOPASSWD: ALL\n`
    await replaceFile(join(rootfs, 'etc/sudoers.d', recipe.user.name), rule, 0o440)
  }
}

function files({ debian, env }: DebianRecipe): Record<string, string> {
  const variables = Object.entries(env).map(([name, value]) => `${name}="${value}"\n`)
  return {
    'etc/apt/sources.list': `${sourceLines(PUBLIC_MIRRORS, debian.suite, debian.components).join('\n')}\n`,
    'etc/environment': variables.join(''),
    'etc/default/locale': variables.filter((line) => /^(LANG|LC_)/.test(line)).join(''),
    'etc/hostname': 'sandbox\n',
    'etc/hosts': '127.0.0.1 localhost sandbox\n::1 localhost ip6-localhost ip6-loopback\n',
    'etc/machine-id': '',
    'etc/resolv.conf': '',
  }
}

/** A copy has the bytes of a file and not its extended attributes, where capabilities are. Nothing to do when absent. */
async function dropCapabilities(path: string): Promise<void> {
  const copy = `${path}.plain`
  try {
    await copyFile(path, copy)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  await chmod(copy, 0o755)
  await rename(copy, path)
}

/** Removes first, so that a symbolic link which a package left is replaced and never followed. */
export async function replaceFile(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  await rm(path, { force: true })
  await writeFile(path, content, { flag: 'wx', mode })
  await chmod(path, mode)
}

async function empty(directory: string): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    await rm(join(directory, name), { recursive: true, force: true })
  }
}
