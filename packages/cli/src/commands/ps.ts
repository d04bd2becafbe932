import type { ExecutionInfo } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { commandText } from '../describe-execution.ts'
import { note, printJson, printLine } from '../stdio.ts'
import { ago, table } from '../table.ts'

const PAGE = 100

const HELP = `
Executions that run now, jobs and terminals too, oldest first. What they have started themselves is not shown:
"caisson exec <sandbox> -- ps aux" shows every process.

Examples:
  caisson ps work
  caisson ps work --json | jq -r '.executions[].id' | xargs -rn1 caisson kill`

export function build(): Command {
  const command = new Command('ps').description('List what runs in a sandbox.')
  return withConnection(command.argument('<sandbox>', 'id or name'))
    .addHelpText('after', HELP)
    .action(async (id: string, flags: CommonFlags) => {
      const executions = await running(id, flags)
      if (flags.json) return printJson({ executions })
      if (executions.length === 0) return note('nothing runs')
      await printLine(table(['ID', 'PID', 'TAG', 'USER', 'TTY', 'COMMAND', 'AGE'], executions.map(row)))
    })
}

async function running(id: string, flags: CommonFlags): Promise<ExecutionInfo[]> {
  const client = connect(flags)
  const found: ExecutionInfo[] = []
  for (;;) {
    const query = { id, state: 'running', direction: 'asc', limit: PAGE, offset: found.length } as const
    const page = await client.call('listExecutions', query)
    found.push(...page.executions)
    if (page.executions.length < PAGE) return found
  }
}

const row = (execution: ExecutionInfo): string[] => [
  execution.id,
  execution.pid === null ? '-' : String(execution.pid),
  execution.tag ?? '-',
  execution.user ?? '-',
  execution.tty ? 'yes' : 'no',
  commandText(execution),
  ago(execution.startedAt ?? execution.createdAt),
]
