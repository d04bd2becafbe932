import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Client, InputOf, OutputOf } from 'caisson'
import { type ServerOptions, type TestServer, temporaryDirectory } from '../fixture.ts'
import { cannotNetwork, World } from '../network/world.ts'
import { cannotSave, startSaving } from '../saved/world.ts'

export { crash, garbage, nothingIsOrphaned, text } from '../saved/world.ts'

/** Why templates cannot be built here; null when they can. */
export const cannotBuild = cannotSave ?? cannotNetwork

/** A server on a host of its own: builders have a network, and nothing of this machine's is touched. */
export async function startBuilding(options: ServerOptions = {}): Promise<TestServer> {
  const ground = await World.create()
  const config = { ...ground.config(), ...options.config }
  return startSaving({ ...options, ground, netns: ground.host.name, config })
}

type Started = Omit<InputOf<'startBuild'>, 'build'>
type Build = OutputOf<'getBuild'>
type Entry = OutputOf<'readBuildLog'>['entries'][number]

/** A build that has ended, with all that it told. */
export interface Ended extends Build {
  entries: Entry[]
  /** Messages alone. */
  told: string[]
}

export async function begin(client: Client, name: string, input: Started, tags?: string[]): Promise<Build> {
  const { build } = await client.call('createTemplate', { name, ...(tags && { tags }) })
  return client.call('startBuild', { build: build.id, ...input })
}

export async function ended(client: Client, build: string): Promise<Ended> {
  for (;;) {
    const now = await client.call('getBuild', { build })
    if (now.endedAt !== null) {
      const { entries } = await client.call('readBuildLog', { build, limit: 1000 })
      return { ...now, entries, told: entries.map(({ message }) => message) }
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export async function build(client: Client, name: string, input: Started, tags?: string[]): Promise<Ended> {
  return ended(client, (await begin(client, name, input, tags)).id)
}

/** A file's text, its text with a mode, or where a link leads. */
type File = string | { text: string; mode: number } | { link: string }

/** Uploads an archive of these files: of them alone, or of the directories that they are in, too. @returns its hash */
export async function upload(
  client: Client,
  files: Record<string, File>,
  { gzip = true, alone = false } = {},
): Promise<string> {
  await using directory = await temporaryDirectory()
  const { path } = directory
  for (const [name, file] of Object.entries(files)) await plant(join(path, 'in', name), file)
  const archive = join(path, 'archive')
  const names = Object.keys(files)
  const tops = [...new Set(names.map((name) => name.split('/')[0]!))]
  const args = [gzip ? '-czf' : '-cf', archive, '-C', join(path, 'in'), ...(alone ? names : tops)]
  await promisify(execFile)('tar', args)
  const bytes = await readFile(archive)
  const hash = createHash('sha256').update(bytes).digest('hex')
  await putFiles(client, hash, bytes)
  return hash
}

async function plant(path: string, file: File): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  if (typeof file === 'object' && 'link' in file) return symlink(file.link, path)
  if (path.endsWith('/')) return void (await mkdir(path, { recursive: true }))
  const { text, mode } = typeof file === 'string' ? { text: file, mode: 0o644 } : file
  await writeFile(path, text)
  await chmod(path, mode)
}

export async function putFiles(client: Client, hash: string, bytes: Uint8Array): Promise<void> {
  const body = (async function* () {
    yield bytes
  })()
  await client.open('putBuildFiles', { hash }, { upload: body, length: bytes.length })
}
