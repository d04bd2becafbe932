import { InstructionError } from './instruction-error.ts'

/** A quote or an escape, a variable, a blank, or anything else. */
const PIECE = /\\([\s\S])|'([^']*)'|"((?:\\[\s\S]|[^"\\])*)"|\$\{([^}]*)\}|\$([A-Za-z_]\w*)|(\s+)|([\s\S])/g
const NAME = /^[A-Za-z_]\w*$/

/**
 * Cuts the text of an instruction into words: quotes and backslashes as in a shell, `$NAME` and `${NAME}` as what an
 * earlier instruction has set, but in single quotes.
 *
 * @throws InstructionError for a quote that does not end, and a variable that nothing has set
 */
export function wordsOf(text: string, variables: Readonly<Record<string, string>>): string[] {
  const words: string[] = []
  let word: string | undefined
  for (const [whole, escaped, single, double, braced, plain, blank, other] of text.matchAll(PIECE)) {
    if (blank !== undefined) {
      if (word !== undefined) words.push(word)
      word = undefined
      continue
    }
    if (other === '"' || other === "'") throw new InstructionError(`has a ${other} without its end`)
    const name = braced ?? plain
    word ??= ''
    if (name !== undefined) word += variable(name, variables, whole)
    else if (double !== undefined) word += unquoted(double, variables)
    else word += escaped ?? single ?? other ?? ''
  }
  return word === undefined ? words : [...words, word]
}

/** What stands in double quotes. */
function unquoted(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(
    /\\(["\\$])|\$\{([^}]*)\}|\$([A-Za-z_]\w*)/g,
    (whole, escaped: string | undefined, braced: string | undefined, plain: string | undefined) =>
      escaped ?? variable((braced ?? plain)!, variables, whole),
  )
}

function variable(name: string, variables: Readonly<Record<string, string>>, written: string): string {
  if (!NAME.test(name)) throw new InstructionError(`has ${written}, which is more than a name`)
  const value = Object.hasOwn(variables, name) ? variables[name] : undefined
  if (value === undefined)
    throw new InstructionError(
      `has ${written}, which no ENV before it sets; what the image has set is not known here`,
    )
  return value
}

/** The list of a JSON form such as `["python", "app.py"]`; undefined: it is none. */
export function jsonWords(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined
  try {
    const list: unknown = JSON.parse(text)
    if (Array.isArray(list) && list.every((each) => typeof each === 'string')) return list
  } catch {
    // It is a shell's own bracket.
  }
  return undefined
}

/** A program and its arguments as a shell's command. */
export const quoted = (words: readonly string[]): string =>
  words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ')
