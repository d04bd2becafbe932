import type { TemplateDefinition, TemplateStep } from '../templates.ts'
import { INSTRUCTIONS, type InstructionState, readInstruction } from './instruction.ts'
import { InstructionError } from './instruction-error.ts'
import { jsonWords, quoted } from './instruction-words.ts'
import { refused } from './refused.ts'

/** What a Dockerfile says of a template. */
export type DockerTemplate = Pick<TemplateDefinition, 'from' | 'steps' | 'startCommand'>

interface Line {
  /** From 1. */
  number: number
  /** In lower case. */
  name: string
  text: string
}

/**
 * Reads the part of a Dockerfile that templates have: FROM, once, then RUN, COPY, ENV, WORKDIR and USER, and CMD as what
 * runs from the start.
 *
 * @param file its name, for messages
 * @throws SandboxError `invalid_request` that names the first instruction that is not supported, with its line
 */
export function readDockerfile(text: string, file: string): DockerTemplate {
  const state: InstructionState = { env: {}, workdir: undefined }
  const steps: TemplateStep[] = []
  let image: string | undefined
  let startCommand: string | undefined
  for (const { number, name, text: rest } of linesOf(text)) {
    try {
      if (/<<-?["']?[A-Za-z_]/.test(rest) && ['run', 'copy'].includes(name))
        throw new InstructionError('has a here-document, which is not supported')
      if (name === 'from') image = imageOf(rest, image)
      else if (image === undefined) throw new InstructionError('stands before FROM')
      else if (name === 'cmd') startCommand = commandOf(rest)
      else if (INSTRUCTIONS.includes(name)) steps.push(...readInstruction(name, rest, state))
      else throw new InstructionError('is not supported; there are FROM, RUN, COPY, ENV, WORKDIR, USER, CMD')
    } catch (error) {
      if (!(error instanceof InstructionError)) throw error
      throw refused(`line ${number}`, `${file}:${number}: ${name.toUpperCase()} ${error.message}`, error)
    }
  }
  if (image === undefined) throw refused('', `${file}: there is no FROM`)
  return { from: { image }, steps, ...(startCommand !== undefined && { startCommand }) }
}

/** Instructions with what they say; comments are left out and lines that go on are joined. */
function* linesOf(text: string): Generator<Line> {
  let begun: Line | undefined
  for (const [at, raw] of text.split(/\r?\n/).entries()) {
    if (at === 0 && /^#\s*escape\s*=/i.test(raw))
      throw refused('line 1', 'A Dockerfile with "# escape=" is not supported.')
    if (raw.trim() === '' || raw.trimStart().startsWith('#')) continue
    const goesOn = /\\\s*$/.test(raw)
    const part = raw.replace(/\\\s*$/, '')
    if (begun) begun.text += goesOn || part.trim() !== '' ? ` ${part.trim()}` : ''
    else {
      const [, name = '', rest = ''] = /^\s*(\S+)\s*(.*)$/s.exec(part) ?? []
      begun = { number: at + 1, name: name.toLowerCase(), text: rest }
    }
    if (goesOn) continue
    yield begun
    begun = undefined
  }
  if (begun) yield begun
}

function imageOf(text: string, before: string | undefined): string {
  if (before !== undefined)
    throw new InstructionError('is there twice; builds of several stages are not supported')
  const [image, second] = text.trim().split(/\s+/)
  if (!image || image.startsWith('--')) throw new InstructionError('needs one image, without options')
  if (second !== undefined) throw new InstructionError(`has "${second}"; stages have no names here`)
  if (image.includes('$')) throw new InstructionError('has a variable; write the image out')
  return image
}

function commandOf(text: string): string {
  const words = jsonWords(text.trim())
  if (text.trim() === '' || words?.length === 0) throw new InstructionError('says nothing')
  return words ? quoted(words) : text.trim()
}
