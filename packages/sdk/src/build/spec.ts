import type { BuildSpec } from './build-spec.ts'
import { BuildDocument } from './document.ts'
import { type Pattern, parsePattern } from './glob.ts'
import { substitute } from './substitute.ts'

/** A build file that has no mistakes. */
export interface ReadSpec {
  spec: BuildSpec
  /** Of `files`, each with the place in it where it stands. */
  patterns: (Pattern & { index: number })[]
  /** Variables that were given and that nothing uses. */
  unused: string[]
  document: BuildDocument
}

const FIELDS = [
  'version',
  'runtime',
  'name',
  'description',
  'dependencies',
  'packages',
  'files',
  'env',
  'metadata',
]
/** What JSON has instead of comments. */
const COMMENT = '$comment'

const RUNTIME = /^[a-z0-9][a-z0-9._-]{0,127}(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$/
export const SNAPSHOT_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/

/**
 * Reads a build file.
 *
 * @param name of the file, for messages
 * @param variables what `${NAME}` in `env` and `metadata` stands for; the environment of this process counts for nothing
 * @throws SandboxError `invalid_request` that names every mistake, with its field and line
 */
export function readSpec(text: string, name: string, variables: Readonly<Record<string, string>>): ReadSpec {
  const document = new BuildDocument(text, name)
  for (const field of document.fields())
    if (!FIELDS.includes(field) && field !== COMMENT)
      document.add(field, `is no field of a build file; there are ${FIELDS.join(', ')}`)
  checkVersion(document)
  const used = new Set<string>()
  const values = (field: 'env' | 'metadata') => substituted(document, field, variables, used)
  const spec: BuildSpec = {
    runtime:
      matching(document, 'runtime', RUNTIME, 'must be a name or "name:tag", such as python:3.13') ?? '',
    name: matching(document, 'name', SNAPSHOT_NAME, NAME_RULE),
    description: document.text('description'),
    dependencies: document.list('dependencies'),
    packages: document.list('packages'),
    files: document.list('files'),
    env: values('env'),
    metadata: values('metadata'),
  }
  if (!document.fields().includes('runtime'))
    document.add('runtime', 'is missing, such as "runtime: base:latest"')
  for (const variable of Object.keys(spec.env))
    if (!VARIABLE.test(variable)) document.add(`env.${variable}`, 'must be letters, digits and _')
  const patterns = spec.files.flatMap((pattern, index) => patternsOf(document, pattern, index))
  document.finish()
  const unused = Object.keys(variables).filter((variable) => !used.has(variable))
  return { spec, patterns, unused, document }
}

export const NAME_RULE = 'must be lower-case letters, digits and inner hyphens, at most 63'

function checkVersion(document: BuildDocument): void {
  const version = document.text('version')
  if (!document.fields().includes('version')) document.add('version', 'is missing; write "version: 1"')
  else if (version !== undefined && version !== '1')
    document.add('version', `is ${JSON.stringify(version)}; this Caisson reads version 1`)
}

function matching(document: BuildDocument, field: string, rule: RegExp, message: string): string | undefined {
  const text = document.text(field)
  if (text === undefined || rule.test(text)) return text
  document.add(field, `${message}, and not ${JSON.stringify(text)}`)
  return undefined
}

function substituted(
  document: BuildDocument,
  field: 'env' | 'metadata',
  variables: Readonly<Record<string, string>>,
  used: Set<string>,
): Record<string, string> {
  const values: Record<string, string> = Object.create(null)
  for (const [name, text] of Object.entries(document.map(field)))
    try {
      values[name] = substitute(text, variables, (variable) => used.add(variable))
    } catch (error) {
      document.add(`${field}.${name}`, (error as Error).message)
    }
  return values
}

function patternsOf(document: BuildDocument, text: string, index: number): ReadSpec['patterns'] {
  try {
    return parsePattern(text).map((pattern) => ({ ...pattern, index }))
  } catch (error) {
    document.add(`files[${index}]`, `${JSON.stringify(text)} ${(error as Error).message}`)
    return []
  }
}
