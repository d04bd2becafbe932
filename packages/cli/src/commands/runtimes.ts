import type { Runtime } from 'caisson'
import { Command, Option } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { wholeNumber } from '../options.ts'
import { printJson, printLine } from '../stdio.ts'
import { table } from '../table.ts'

const HELP = `
Examples:
  caisson runtimes list
  caisson runtimes list --sort name --direction desc --limit 10`

interface Flags extends CommonFlags {
  limit?: number
  offset?: number
  sort?: 'name' | 'id'
  direction?: 'asc' | 'desc'
}

export function build(): Command {
  const command = new Command('runtimes').description('What sandboxes can be made of.')
  const list = new Command('list').alias('ls').description('list runtimes')
  list
    .option('--limit <n>', 'at most so many', wholeNumber)
    .option('--offset <n>', 'leave out the first', wholeNumber)
    .addOption(new Option('--sort <field>', 'order (default: name)').choices(['name', 'id']))
    .addOption(new Option('--direction <dir>', 'order (default: asc)').choices(['asc', 'desc']))
  withConnection(list).action(async (flags: Flags) => {
    const { runtimes: all } = await connect(flags).call('listRuntimes')
    const runtimes = page(all, flags)
    if (flags.json) return printJson({ runtimes, total: all.length })
    await printLine(table(['NAME', 'ID', 'BUILT', 'DESCRIPTION'], runtimes.map(row)))
  })
  return command.addCommand(list, { isDefault: true }).addHelpText('after', HELP)
}

/** The server gives all there are: they are few. */
function page(all: readonly Runtime[], flags: Flags): Runtime[] {
  const { limit = all.length, offset = 0, sort = 'name', direction = 'asc' } = flags
  const sign = direction === 'asc' ? 1 : -1
  return [...all].sort((a, b) => sign * a[sort].localeCompare(b[sort])).slice(offset, offset + limit)
}

const row = ({ name, id, built, description }: Runtime): string[] => [
  name,
  id,
  built ? 'yes' : 'no',
  description,
]
