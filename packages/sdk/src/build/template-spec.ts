import type { BuildFrom } from '@caisson/protocol/resources'
import type { TemplateDefinition, TemplateStep } from '../templates.ts'
import { BuildDocument } from './document.ts'
import { type InstructionState, readInstruction } from './instruction.ts'
import { InstructionError } from './instruction-error.ts'

/** What a build file says, whose name may come from elsewhere. */
export type TemplateSpec = Omit<TemplateDefinition, 'name'> & { name: string | undefined }

const SOURCES = ['runtime', 'template', 'snapshot', 'image'] as const
const RESOURCES = ['memory', 'cpu', 'disk'] as const
const FIELDS = [
  'version',
  'name',
  ...SOURCES,
  ...RESOURCES,
  'tags',
  'ignore',
  'user',
  'steps',
  'start',
  'ready',
]
/** What JSON has instead of comments. */
const COMMENT = '$comment'

/**
 * Reads a template's build file.
 *
 * @param file its name, for messages
 * @throws SandboxError `invalid_request` that names every mistake, with its field and line
 */
export function readTemplateSpec(text: string, file: string): TemplateSpec {
  const document = new BuildDocument(text, file)
  for (const field of document.fields())
    if (!FIELDS.includes(field) && field !== COMMENT)
      document.add(field, `is no field of a template's build file; there are ${FIELDS.join(', ')}`)
  if (!document.fields().includes('version')) document.add('version', 'is missing; write "version: 1"')
  else if (document.text('version') !== '1') document.add('version', 'must be 1')
  const resources = textsOf(document, RESOURCES)
  const tags = document.list('tags')
  const ignore = document.list('ignore')
  const user = document.text('user')
  const start = document.text('start')
  const ready = document.text('ready')
  const spec: TemplateSpec = {
    name: document.text('name'),
    from: fromOf(document),
    steps: stepsOf(document),
    ...(Object.keys(resources).length > 0 && { resources }),
    ...(tags.length > 0 && { tags }),
    ...(ignore.length > 0 && { ignore }),
    ...(user !== undefined && { user }),
    ...(start !== undefined && { startCommand: start }),
    ...(ready !== undefined && { readyCommand: ready }),
  }
  document.finish()
  return spec
}

function fromOf(document: BuildDocument): BuildFrom {
  const from = textsOf(document, SOURCES)
  const named = Object.keys(from)
  if (named.length === 0) document.add('', `needs one of ${SOURCES.join(', ')}, such as "runtime: base"`)
  for (const second of named.slice(1)) document.add(second, `is too much beside ${named[0]}`)
  return from
}

function textsOf<K extends string>(
  document: BuildDocument,
  fields: readonly K[],
): Partial<Record<K, string>> {
  const found: Partial<Record<K, string>> = {}
  for (const field of fields) {
    const text = document.text(field)
    if (text !== undefined) found[field] = text
  }
  return found
}

function stepsOf(document: BuildDocument): TemplateStep[] {
  const state: InstructionState = { env: {}, workdir: undefined }
  return document.entries('steps').flatMap(({ index, name, text }) => {
    try {
      return readInstruction(name, text, state)
    } catch (error) {
      if (!(error instanceof InstructionError)) throw error
      document.add(`steps[${index}]`, `${name} ${error.message}`)
      return []
    }
  })
}
