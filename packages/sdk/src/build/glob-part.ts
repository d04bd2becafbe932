import { PatternError } from './pattern-error.ts'

/** What a name must be like; `null`: any number of names. */
export type Part = RegExp | null

/**
 * The part of a pattern between two slashes: `*` is any number of characters, `?` one, `[a-z]` and `[!a-z]` one of a
 * set, and `\` takes the next as it is. A name that begins with a dot is matched by what begins with one, and by all
 * that excludes.
 *
 * @throws PatternError
 */
export function partOf(text: string, excludes: boolean): Part {
  if (text === '**') return null
  if (text.includes('**'))
    throw new PatternError('has "**" beside other characters; it stands alone between slashes')
  let source = ''
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    if (character === '*') source += '.*'
    else if (character === '?') source += '.'
    else if (character === '[') {
      const set = readSet(text, at)
      source += set.source
      at = set.ends
    } else if (character === '\\') source += escaped(text[++at])
    else source += quote(character)
  }
  const hidden = excludes || !/^[*?[]/.test(text) ? '' : '(?!\\.)'
  return compile(`^${hidden}${source}$`)
}

/** `[abc]`, `[a-z]`, `[!abc]`; "]" first in it is one of its characters. */
function readSet(text: string, open: number): { source: string; ends: number } {
  const negated = text[open + 1] === '!' || text[open + 1] === '^'
  const first = open + (negated ? 2 : 1)
  const ends = text.indexOf(']', first + 1)
  if (ends === -1) throw new PatternError('has a "[" without "]"')
  const characters = text.slice(first, ends).replace(/[\\^[\]]/g, '\\$&')
  return { source: `[${negated ? '^' : ''}${characters}]`, ends }
}

function escaped(character: string | undefined): string {
  if (character === undefined) throw new PatternError('ends in "\\"')
  return quote(character)
}

const quote = (character: string): string => character.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')

function compile(source: string): RegExp {
  try {
    return new RegExp(source, 'su')
  } catch (cause) {
    throw new PatternError('has a set that cannot be one', { cause })
  }
}
