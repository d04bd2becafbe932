import { type Command, Option } from 'commander'
import { wholeNumber } from './options.ts'
import { note } from './stdio.ts'

/** Which page of a list, and in which order. */
export interface PageFlags {
  limit?: number
  offset?: number
}

export function withPage(command: Command): Command {
  return command
    .option('--limit <n>', 'at most so many, up to 100 (default: 50)', wholeNumber)
    .option('--offset <n>', 'leave out the first', wholeNumber)
}

/**
 * @param sorts fields to sort by, the default first
 * @param direction the default
 */
export function withOrder(command: Command, sorts: readonly string[], direction: 'asc' | 'desc'): Command {
  return command
    .addOption(new Option('--sort <field>', `order (default: ${sorts[0]})`).choices(sorts))
    .addOption(new Option('--direction <dir>', `order (default: ${direction})`).choices(['asc', 'desc']))
}

/** Says that there are more than were shown. */
export function tellMore(total: number, shown: number, { offset = 0 }: PageFlags): void {
  if (total > offset + shown) note(`${total} in all; --offset ${offset + shown} shows more`)
}
