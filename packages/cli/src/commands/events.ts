import type { SandboxEvent } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { wholeNumber } from '../options.ts'
import { note, printJson, printLine } from '../stdio.ts'
import { table } from '../table.ts'

const HELP = `
Examples:
  caisson events work
  caisson events work --reverse --limit 10
  caisson events sbx_abc123 --type lifecycle:failed --json`

type Flags = CommonFlags & { limit?: number; offset?: number; reverse?: boolean; type?: string }

export function build(): Command {
  const command = new Command('events').description('What happened to a sandbox, oldest first.')
  command
    .argument('<sandbox>', 'id or name')
    .option('--limit <n>', 'at most so many, up to 100 (default: 50)', wholeNumber)
    .option('--offset <n>', 'leave out the first', wholeNumber)
    .option('--reverse', 'newest first')
    .option('--type <type>', 'only those, such as lifecycle:started')
  return withConnection(command)
    .addHelpText('after', HELP)
    .action(async (id: string, flags: Flags) => {
      const { limit, offset, type } = flags
      const direction = flags.reverse ? 'desc' : 'asc'
      const page = await connect(flags).call('listEvents', { id, limit, offset, type, direction })
      if (flags.json) return printJson(page)
      if (page.events.length === 0) return note('no events')
      await printLine(table(['TIME', 'TYPE', 'DETAIL'], page.events.map(row)))
      const seen = (offset ?? 0) + page.events.length
      if (page.total > seen) note(`${page.total} in all; --offset ${seen} shows more`)
    })
}

const row = ({ createdAt, type, payload }: SandboxEvent): string[] => [
  createdAt,
  type,
  Object.entries(payload)
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' '),
]
