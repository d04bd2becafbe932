import { quote } from './quote.ts'
import { note } from './stdio.ts'
import { printable } from './table.ts'

/** The options of `run`, `create` and `network set` that let pass these entries and nothing else. */
export const allowOptions = (entries: readonly string[]): string =>
  entries.map((entry) => `--allow ${quote(printable(entry))}`).join(' ')

/** Says, beside the answer, what a command has used, as options to copy. */
export function tellLearned(entries: readonly string[]): void {
  if (entries.length === 0) note('it used no network; without --learn it needs none')
  else note(`what it used, and nothing else: ${allowOptions(entries)}`)
}
