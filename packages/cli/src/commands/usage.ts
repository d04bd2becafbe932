import type { Usage } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { printJson, printLine } from '../stdio.ts'
import { bytes, facts, span } from '../table.ts'

const HELP = `
"caisson stats" says what all sandboxes used between two dates.

Examples:
  caisson usage work
  caisson usage work --json | jq .memoryBytes`

export function build(): Command {
  const command = new Command('usage').description('What a sandbox uses now, and its limits.')
  return withConnection(command.argument('<sandbox>', 'id or name'))
    .addHelpText('after', HELP)
    .action(async (id: string, flags: CommonFlags) => {
      const usage = await connect(flags).call('getUsage', { id })
      if (flags.json) return printJson(usage)
      await printLine(
        facts([
          ['memory', `${bytes(usage.memoryBytes)} of ${bytes(usage.memoryLimitBytes)}`],
          ['CPU time', `${span(usage.cpuUsec / 1000)}, at most ${usage.cpuMillis / 1000} CPU at once`],
          ['disk', diskText(usage)],
          ['processes', `${usage.pids} of ${usage.pidsLimit}`],
          ['killed for memory', String(usage.oomKills)],
          ['at', usage.sampledAt],
        ]),
      )
    })
}

const diskText = ({ diskBytes, diskLimitBytes }: Usage): string | null =>
  diskBytes === null
    ? null
    : `${bytes(diskBytes)}${diskLimitBytes === null ? '' : ` of ${bytes(diskLimitBytes)}`}`
