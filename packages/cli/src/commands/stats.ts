import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { printJson, printLine } from '../stdio.ts'
import { bytes, facts, span } from '../table.ts'

const HELP = `
Without dates, the last day. "caisson usage <sandbox>" says what one sandbox uses now.

Examples:
  caisson stats
  caisson stats --start 2026-04-01T00:00:00Z --end 2026-04-22T00:00:00Z
  caisson stats --project-id p1 --json`

type Flags = CommonFlags & { start?: string; end?: string; projectId?: string; orgId?: string }

export function build(): Command {
  const command = new Command('stats').description('Sandboxes now, and what they used between two dates.')
  command
    .option('--start <time>', 'such as 2026-04-01T00:00:00Z (default: a day before the end)')
    .option('--end <time>', 'default: now')
    .option('--project-id <id>', 'only sandboxes of this project')
    .option('--org-id <id>', 'only sandboxes of this organisation')
  return withConnection(command)
    .addHelpText('after', HELP)
    .action(async (flags: Flags) => {
      const { start, end, projectId, orgId } = flags
      const stats = await connect(flags).call('getStats', { start, end, projectId, orgId })
      if (flags.json) return printJson(stats)
      await printLine(
        facts([
          ['sandboxes now', `${stats.totalActive}`],
          [
            'of these',
            `${stats.running} running, ${stats.idle} idle, ${stats.paused} paused, ${stats.creating} being created`,
          ],
          ['from', stats.start],
          ['to', stats.end],
          ['executions', String(stats.totalExecutions)],
          ['CPU time', span(stats.totalCpuTimeMs)],
          ['memory', `${bytes(Math.round(stats.totalMemoryByteSec))} seconds`],
          ['sent', bytes(stats.totalNetworkEgressBytes)],
        ]),
      )
    })
}
