import { readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { type ChosenFile, measure } from './files.ts'
import { matches, mayHold, type Pattern, parsePattern } from './glob.ts'
import { PatternError } from './pattern-error.ts'
import { refused } from './refused.ts'

/**
 * What a copy step takes, by path: what `source` matches, a directory with all that is in it, but for what is ignored. Links
 * are taken as links and never followed; what is neither file nor link is left out.
 *
 * @param ignored patterns as in a `.dockerignore`: the last that matches decides, and "!" takes back
 * @throws SandboxError `invalid_request` for a pattern that leads out of the directory
 */
export async function copiedFiles(
  root: string,
  source: string,
  ignored: readonly string[],
  signal?: AbortSignal,
): Promise<ChosenFile[]> {
  const wanted = patternsOf(source)
  const rules = ignored.map(ruleOf)
  const files: ChosenFile[] = []
  await look('')
  return files.sort((a, b) => (a.path < b.path ? -1 : 1))

  async function look(directory: string): Promise<void> {
    for (const entry of await readdir(join(root, directory), { withFileTypes: true })) {
      signal?.throwIfAborted()
      const path = directory === '' ? entry.name : `${directory}/${entry.name}`
      const chosen = isWithin(wanted, path)
      if (entry.isDirectory()) {
        if ((chosen || mayHold(wanted, path)) && mayKeep(rules, path)) await look(path)
      } else if (chosen && !isIgnored(rules, path)) {
        if (entry.isSymbolicLink())
          files.push({ path, type: 'link', target: await readlink(join(root, path)) })
        else if (entry.isFile()) files.push(await measure(root, path, signal))
      }
    }
  }
}

interface Rule {
  patterns: Pattern[]
  /** It takes back what an earlier one has ignored. */
  keeps: boolean
}

function ruleOf(line: string): Rule {
  const keeps = line.startsWith('!')
  // In such a file a slash at the beginning means the directory itself.
  return { patterns: patternsOf((keeps ? line.slice(1) : line).replace(/^\/+/, '')), keeps }
}

function patternsOf(text: string): Pattern[] {
  if (text.startsWith('!')) throw refused('', `"${text}" chooses nothing: "!" excludes`)
  try {
    return parsePattern(text)
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    throw refused('', `"${text}" ${error.message}`)
  }
}

/** Whether a pattern matches the path, or a directory that it is in. */
function isWithin(patterns: readonly Pattern[], path: string): boolean {
  const names = path.split('/')
  for (let length = 0; length <= names.length; length++)
    if (patterns.some((pattern) => matches(pattern, names.slice(0, length)))) return true
  return false
}

const isIgnored = (rules: readonly Rule[], path: string): boolean =>
  rules.findLast(({ patterns }) => isWithin(patterns, path))?.keeps === false

/** Whether something in a directory may be kept: where nothing is taken back, what is ignored is not looked into. */
const mayKeep = (rules: readonly Rule[], path: string): boolean =>
  rules.some(({ keeps }) => keeps) || !isIgnored(rules, path)
