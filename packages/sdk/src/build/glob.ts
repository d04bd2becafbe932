import { type Part, partOf } from './glob-part.ts'
import { PatternError } from './pattern-error.ts'

/**
 * A pattern that chooses files. A path is cut at "/", and so is a pattern; a part of it matches a name, and a part `**`
 * any number of names.
 */
export interface Pattern {
  excludes: boolean
  /** It has no wildcards: that nothing is there is a mistake. */
  literal: boolean
  parts: readonly Part[]
}

const ALTERNATIVES_MAX = 256

/**
 * Reads a pattern; `{a,b}` makes several of one.
 *
 * @throws PatternError
 */
export function parsePattern(text: string): Pattern[] {
  const excludes = text.startsWith('!')
  const written = excludes ? text.slice(1) : text
  if (written === '') throw new PatternError('is empty')
  if (written.includes('\0')) throw new PatternError('has a NUL')
  if (written.startsWith('/')) throw new PatternError('is absolute; write paths from the build directory on')
  const patterns = alternatives(written).map((shape) => toPattern(shape, excludes))
  return patterns.length === 1 ? patterns : patterns.map((pattern) => ({ ...pattern, literal: false }))
}

function toPattern(shape: string, excludes: boolean): Pattern {
  const names = shape.split('/').filter((name) => name !== '' && name !== '.')
  if (names.includes('..')) throw new PatternError('leads out of the build directory')
  const literal = !/[*?[]/.test(shape.replace(/\\./g, ''))
  const parts = names.map((name) => partOf(name, excludes))
  // What names a directory stands for all that is in it.
  if (literal || excludes) return { excludes, literal: literal && !excludes, parts: [...parts, null] }
  return { excludes, literal, parts: shape.endsWith('/') ? [...parts, null, partOf('*', false)] : parts }
}

/**
 * Whether the patterns choose a path: the last one that matches decides, and without one it is not chosen. An exclusion
 * of a directory is one of all that is in it.
 */
export function isChosen(patterns: readonly Pattern[], path: string): boolean {
  const names = path.split('/')
  return patterns.findLast((pattern) => matches(pattern, names))?.excludes === false
}

/** Whether a file below a directory may be chosen; where none may, nobody needs to look. */
export function mayHold(patterns: readonly Pattern[], directory: string): boolean {
  const names = directory.split('/')
  let hopeful = false
  for (const pattern of patterns) {
    if (!pattern.excludes) hopeful ||= walk(pattern, names, 0, 0, true)
    else if (matches(pattern, names)) hopeful = false
  }
  return hopeful
}

/** Whether a pattern matches the names of a path, whatever the other patterns say. */
export const matches = (pattern: Pattern, names: readonly string[]): boolean =>
  walk(pattern, names, 0, 0, false)

/** @param below whether it is enough that something below these names may match */
function walk(
  pattern: Pattern,
  names: readonly string[],
  part: number,
  name: number,
  below: boolean,
): boolean {
  const { parts, excludes } = pattern
  for (; part < parts.length; part++, name++) {
    if (below && name === names.length) return true
    const wanted = parts[part]!
    if (wanted === null) {
      for (let rest = name; ; rest++) {
        if (walk(pattern, names, part + 1, rest, below)) return true
        // Names that begin with a dot are chosen by those who name them.
        if (rest >= names.length || (!excludes && names[rest]!.startsWith('.'))) return false
      }
    }
    if (name >= names.length || !wanted.test(names[name]!)) return false
  }
  return name === names.length
}

/** `a{b,c}` is `ab` and `ac`. */
function alternatives(text: string): string[] {
  const open = find(text, '{')
  if (open === -1) return [text]
  const { ends, commas } = group(text, open)
  const cuts = [open, ...commas, ends]
  const after = alternatives(text.slice(ends + 1))
  const inner = cuts.slice(1).flatMap((end, at) => alternatives(text.slice(cuts[at]! + 1, end)))
  const all = inner.flatMap((one) => after.map((rest) => text.slice(0, open) + one + rest))
  if (all.length > ALTERNATIVES_MAX) throw new PatternError(`has more than ${ALTERNATIVES_MAX} alternatives`)
  return all
}

/** Where a group ends, and the commas in it that are its own. */
function group(text: string, open: number): { ends: number; commas: number[] } {
  const commas: number[] = []
  for (let at = open + 1, depth = 1; at < text.length; at++) {
    const character = text[at]
    if (character === '\\') at++
    else if (character === '{') depth++
    else if (character === ',' && depth === 1) commas.push(at)
    else if (character === '}' && --depth === 0) return { ends: at, commas }
  }
  throw new PatternError('has a "{" without "}"')
}

function find(text: string, wanted: string): number {
  for (let at = 0; at < text.length; at++) {
    if (text[at] === wanted) return at
    if (text[at] === '\\') at++
  }
  return -1
}
