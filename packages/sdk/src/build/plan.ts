import { readFile, realpath, stat } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { SandboxError } from '@caisson/protocol/errors'
import type { BuildSpec } from './build-spec.ts'
import { type ChosenFile, chooseFiles, isThere } from './files.ts'
import { matches } from './glob.ts'
import { contentHash } from './hash.ts'
import { NAME_RULE, type ReadSpec, readSpec, SNAPSHOT_NAME } from './spec.ts'

/** Names under which a build file is found by itself. */
export const BUILD_FILES = ['caisson-snapshot.yaml', 'caisson-snapshot.yml', 'caisson-snapshot.json'] as const

/** What is said of a build beside its file. */
export interface PlanOptions {
  /** The build file, from the directory on. Default: the one of `caisson-snapshot.yaml`, `.yml` and `.json` that is there. */
  file?: string | undefined
  /** Instead of the file's; default: the name of the directory. */
  name?: string | undefined
  /** Instead of the file's. */
  description?: string | undefined
  /** What `${NAME}` in the file stands for. */
  env?: Record<string, string> | undefined
  /** Beside the file's, and instead of those of the same name. */
  metadata?: Record<string, string> | undefined
  signal?: AbortSignal | undefined
}

/** What would be built. */
export interface BuildPlan {
  directory: string
  buildFile: string
  name: string
  spec: BuildSpec
  files: ChosenFile[]
  /** Of all files. */
  bytes: number
  /** SHA-256, hexadecimal, of all that the snapshot is built from. */
  contentHash: string
  /** What is no mistake and may surprise. */
  notes: string[]
}

/**
 * Reads a build file and all files that it chooses; sends nothing.
 *
 * @throws SandboxError `invalid_request` that names every mistake of the build file; errors of the file system
 */
export async function planSnapshot(directory: string, options: PlanOptions = {}): Promise<BuildPlan> {
  const root = await realpath(directory)
  const buildFile = options.file === undefined ? await findBuildFile(root) : resolve(root, options.file)
  const read = readSpec(await readFile(buildFile, 'utf8'), basename(buildFile), options.env ?? {})
  await requireLiterals(root, read)
  const { files, skipped } = await chooseFiles(root, read.patterns, relative(root, buildFile), options.signal)
  const spec = overridden(read.spec, options)
  const name = nameOf(spec, root)
  return {
    directory: root,
    buildFile,
    name,
    spec: { ...spec, name },
    files,
    bytes: files.reduce((sum, file) => sum + (file.type === 'file' ? file.size : 0), 0),
    contentHash: contentHash(spec, files),
    notes: notesOf(read, files, skipped),
  }
}

async function findBuildFile(root: string): Promise<string> {
  if (!(await stat(root)).isDirectory()) throw refused(`"${root}" is no directory.`)
  const there: string[] = []
  for (const name of BUILD_FILES) if (await isThere(root, name)) there.push(name)
  if (there.length === 1) return join(root, there[0]!)
  if (there.length > 1) throw refused(`"${root}" has ${there.join(' and ')}. Name one as the build file.`)
  throw refused(
    `"${root}" has no ${BUILD_FILES[0]}. "caisson snapshot generate > ${BUILD_FILES[0]}" writes one to begin with.`,
  )
}

const refused = (message: string): SandboxError =>
  new SandboxError('invalid_request', { issues: [{ path: '', message }] }, { message })

/** Who names a file without wildcards means that one. */
async function requireLiterals(root: string, { patterns, spec, document }: ReadSpec): Promise<void> {
  for (const { literal, index } of patterns) {
    const path = spec.files[index]!.replace(/\\(.)/g, '$1')
    if (literal && !(await isThere(root, path)))
      document.add(`files[${index}]`, `"${path}" is not in the build directory`)
  }
  document.finish()
}

function overridden(spec: BuildSpec, { name, description, metadata }: PlanOptions): BuildSpec {
  if (name !== undefined && !SNAPSHOT_NAME.test(name)) throw refused(`The name "${name}" ${NAME_RULE}.`)
  return {
    ...spec,
    name: name ?? spec.name,
    description: description ?? spec.description,
    metadata: { ...spec.metadata, ...metadata },
  }
}

function nameOf({ name }: BuildSpec, root: string): string {
  const made = basename(root)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replace(/^-|-$/g, '')
  if (name ?? made) return name ?? made
  throw refused(`The snapshot needs a name, and "${root}" gives none. Write "name:" in the build file.`)
}

function notesOf(
  { spec, patterns, unused }: ReadSpec,
  files: readonly ChosenFile[],
  skipped: string[],
): string[] {
  const paths = files.map(({ path }) => path.split('/'))
  const idle = spec.files.filter((_, index) => {
    const own = patterns.filter((pattern) => pattern.index === index && !pattern.excludes)
    return own.length > 0 && !paths.some((names) => own.some((pattern) => matches(pattern, names)))
  })
  return [
    ...idle.map((pattern) => `${JSON.stringify(pattern)} chooses no file`),
    ...skipped.map((path) => `"${path}" is left out: it is neither a file nor a link`),
    ...unused.map((variable) => `${variable} was given and is used nowhere`),
  ]
}
