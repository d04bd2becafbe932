import type { Collected } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { withProgress } from '../progress.ts'
import { note, printJson, printLine } from '../stdio.ts'
import { bytes, table } from '../table.ts'

const HELP = `
It is safe at any time, beside running sandboxes and builds.

Examples:
  caisson gc --dry-run
  caisson gc --json | jq .freedBytes`

export function build(): Command {
  const command = new Command('gc').description('Remove what nothing needs any more.')
  command.option('--dry-run', 'only tell what would be removed')
  return withConnection(command)
    .addHelpText('after', HELP)
    .action(async (flags: CommonFlags & { dryRun?: boolean }) => {
      const work = connect(flags).storage.gc({ dryRun: flags.dryRun })
      const collected = await withProgress('looking for what nothing needs', work)
      if (flags.json) return printJson(collected)
      if (collected.removed.length > 0)
        await printLine(table(['KIND', 'ID', 'BYTES', 'REASON'], collected.removed.map(row)))
      note(`${collected.dryRun ? 'would free' : 'freed'} ${bytes(collected.freedBytes)}`)
    })
}

const row = ({ kind, id, bytes: size, reason }: Collected['removed'][number]): string[] => [
  kind,
  id,
  size === null ? '-' : bytes(size),
  reason,
]
