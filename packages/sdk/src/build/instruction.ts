import { posix } from 'node:path'
import type { TemplateStep } from '../templates.ts'
import { InstructionError } from './instruction-error.ts'
import { jsonWords, quoted, wordsOf } from './instruction-words.ts'

/** What earlier instructions have said. */
export interface InstructionState {
  env: Record<string, string>
  workdir: string | undefined
}

type Reader = (text: string, state: InstructionState) => TemplateStep[]

/** What a build knows, and how each is read. */
const READERS: Record<string, Reader> = { run, copy, env, workdir, user }

export const INSTRUCTIONS: readonly string[] = Object.keys(READERS)

/**
 * Reads one instruction, which a build file of ours and a Dockerfile write alike.
 *
 * @param state is changed: what it sets counts for the next
 * @throws InstructionError
 */
export function readInstruction(name: string, text: string, state: InstructionState): TemplateStep[] {
  const read = Object.hasOwn(READERS, name) ? READERS[name] : undefined
  if (read === undefined) throw new InstructionError(`is not known; there are ${INSTRUCTIONS.join(', ')}`)
  if (text.trim() === '') throw new InstructionError('says nothing')
  return read(text.trim(), state)
}

function run(text: string): TemplateStep[] {
  refuseFlags(text)
  const words = jsonWords(text)
  return [{ type: 'run', command: words ? quoted(words) : text }]
}

const FLAG = /^--(\w[\w-]*)(?:=(\S*))?\s+/

function copy(text: string, { env }: InstructionState): TemplateStep[] {
  let rest = text
  const more: { user?: string; mode?: number } = {}
  for (let flag = FLAG.exec(rest); flag; flag = FLAG.exec(rest)) {
    const [whole, name, value = ''] = flag
    if (name === 'chown') more.user = ownerOf(value)
    else if (name === 'chmod') more.mode = modeOf(value)
    else throw new InstructionError(`has --${name}, which is not supported`)
    rest = rest.slice(whole.length)
  }
  const words = jsonWords(rest) ?? wordsOf(rest, env)
  const target = words.pop()
  if (target === undefined || words.length === 0)
    throw new InstructionError('needs what is copied, and where to')
  if (words.length > 1 && !target.endsWith('/'))
    throw new InstructionError('copies several things, so its target must end with "/"')
  return words.map((source) => ({ type: 'copy', source, target, ...more }))
}

function ownerOf(text: string): string {
  const [user = '', group = user] = text.split(':')
  if (user === '') throw new InstructionError('has a --chown without a user')
  if (group !== user) throw new InstructionError(`has the group ${group}; files get the group of their user`)
  return user
}

function modeOf(text: string): number {
  if (!/^[0-7]{3,4}$/.test(text)) throw new InstructionError('has a --chmod that is not octal, such as 755')
  return Number.parseInt(text, 8)
}

function env(text: string, state: InstructionState): TemplateStep[] {
  const words = wordsOf(text, state.env)
  const old = /^([A-Za-z_]\w*)\s+(.*)$/s.exec(text)
  const pairs: [string, string][] = old
    ? [[old[1]!, wordsOf(old[2]!, state.env).join(' ')]]
    : words.map((word) => pairOf(word))
  const values = Object.fromEntries(pairs)
  Object.assign(state.env, values)
  return [{ type: 'env', env: values }]
}

function pairOf(word: string): [string, string] {
  const [, name, value] = /^([A-Za-z_]\w*)=(.*)$/s.exec(word) ?? []
  if (name === undefined || value === undefined)
    throw new InstructionError(`has "${word}"; write NAME=value, with quotes where it has spaces`)
  return [name, value]
}

function workdir(text: string, state: InstructionState): TemplateStep[] {
  const path = onlyWord(text, state)
  const whole = state.workdir === undefined ? path : posix.resolve(state.workdir, path)
  if (!whole.startsWith('/')) throw new InstructionError('must be an absolute path, at least the first')
  state.workdir = whole
  return [{ type: 'workdir', path: whole }]
}

function user(text: string, state: InstructionState): TemplateStep[] {
  const name = onlyWord(text, state)
  if (name.includes(':')) throw new InstructionError('has a group; the group is that of the user')
  return [{ type: 'user', user: name }]
}

function onlyWord(text: string, { env }: InstructionState): string {
  const [word, second] = wordsOf(text, env)
  if (word === undefined || second !== undefined) throw new InstructionError('takes one word')
  return word
}

/** `RUN --mount=…` would be taken for a program. */
function refuseFlags(text: string): void {
  const [, name] = /^--(\w[\w-]*)/.exec(text) ?? []
  if (name !== undefined) throw new InstructionError(`has --${name}, which is not supported`)
}
