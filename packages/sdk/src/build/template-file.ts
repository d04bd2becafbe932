import { readFile, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { TemplateDefinition } from '../templates.ts'
import { readDockerfile } from './dockerfile.ts'
import { isThere } from './files.ts'
import { refused } from './refused.ts'
import { readTemplateSpec, type TemplateSpec } from './template-spec.ts'

/** Names under which the build file of a template is found by itself. */
export const TEMPLATE_FILES = [
  'caisson-template.yaml',
  'caisson-template.yml',
  'caisson-template.json',
  'Dockerfile',
] as const

/** A template as a file says it, and what its copy steps take their files from. */
export interface TemplateFile {
  definition: TemplateDefinition
  directory: string
}

/**
 * Reads the build file of a template: one of ours, or a Dockerfile (with its `.dockerignore`); sends nothing.
 *
 * @param path the file, or a directory that has one
 * @param name instead of the file's; default: the name of the directory
 * @throws SandboxError `invalid_request` for a file with mistakes; errors of the file system
 */
export async function readTemplate(path: string, name?: string): Promise<TemplateFile> {
  const file = await findFile(await realpath(path))
  const directory = dirname(file)
  const text = await readFile(file, 'utf8')
  const spec = isDockerfile(file)
    ? { name: undefined, ...readDockerfile(text, basename(file)), ignore: await dockerIgnore(directory) }
    : readTemplateSpec(text, basename(file))
  return { directory, definition: { ...spec, name: name ?? nameOf(spec, directory) } }
}

async function findFile(path: string): Promise<string> {
  if (!(await stat(path)).isDirectory()) return path
  const there: string[] = []
  for (const name of TEMPLATE_FILES) if (await isThere(path, name)) there.push(name)
  const [only, second] = there
  if (only === undefined) throw refused('', `"${path}" has no ${TEMPLATE_FILES[0]} and no Dockerfile.`)
  if (second !== undefined)
    throw refused('', `"${path}" has ${there.join(' and ')}. Name one as the build file.`)
  return join(path, only)
}

const isDockerfile = (file: string): boolean => /(^|\.)dockerfile(\.|$)/i.test(basename(file))

async function dockerIgnore(directory: string): Promise<string[]> {
  const file = '.dockerignore'
  if (!(await isThere(directory, file))) return []
  const lines = (await readFile(join(directory, file), 'utf8')).split(/\r?\n/)
  return lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
}

function nameOf({ name }: Pick<TemplateSpec, 'name'>, directory: string): string {
  const made = basename(directory)
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .slice(0, 128)
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '')
  if (name ?? made) return name ?? made
  throw refused('name', `The template needs a name, and "${directory}" gives none.`)
}
