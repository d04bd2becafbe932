import { createHash } from 'node:crypto'
import type { BuildSpec } from './build-spec.ts'
import type { ChosenFile } from './files.ts'

/**
 * The digest of what a snapshot is built from: what the build file says, variables put in, and path, permissions and
 * contents of every file. Name and tag are not part of it, nor is the order in which packages and variables stand.
 *
 * @returns SHA-256, hexadecimal
 */
export function contentHash(spec: BuildSpec, files: readonly ChosenFile[]): string {
  const content = {
    format: 1,
    runtime: spec.runtime,
    description: spec.description ?? null,
    dependencies: [...new Set(spec.dependencies)].sort(),
    packages: [...new Set(spec.packages)].sort(),
    env: sorted(spec.env),
    metadata: sorted(spec.metadata),
    files: [...files].sort((a, b) => (a.path < b.path ? -1 : 1)).map(row),
  }
  return createHash('sha256').update(JSON.stringify(content)).digest('hex')
}

const row = (file: ChosenFile): unknown[] =>
  file.type === 'link' ? [file.path, 'link', file.target] : [file.path, 'file', file.mode, file.sha256]

const sorted = (values: Record<string, string>): [string, string][] =>
  Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1))
