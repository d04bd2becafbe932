import type { ExecutionInfo } from 'caisson'
import { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { wholeNumber } from '../options.ts'
import { note, printJson, printLine } from '../stdio.ts'
import { ago, bytes, facts, span, table } from '../table.ts'

const HELP = `
Examples:
  caisson executions list work
  caisson executions get exe_abc123 --json
  caisson attach exe_abc123                 its output`

type Flags = ConnectionOptions & { json?: boolean }

export function build(): Command {
  const command = new Command('executions').description('What was run, and how it ended.')
  const list = new Command('list').alias('ls').description('list the executions of a sandbox, newest first')
  list
    .argument('<sandbox>', 'id or name')
    .option('--limit <n>', 'at most so many, up to 100 (default: 50)', wholeNumber)
    .option('--offset <n>', 'leave out the first', wholeNumber)
  withConnection(list).action(async (id: string, flags: Flags & { limit?: number; offset?: number }) => {
    const { limit, offset } = flags
    const page = await connect(flags).call('listExecutions', { id, limit, offset })
    if (flags.json) return printJson(page)
    if (page.executions.length === 0) return note('no executions')
    await printLine(table(['ID', 'COMMAND', 'ENDED', 'TIME', 'OUTPUT', 'AGE'], page.executions.map(row)))
  })
  const get = new Command('get').aliases(['show', 'info']).description('show an execution')
  withConnection(get.argument('<execution>', 'id')).action(async (execution: string, flags: Flags) => {
    const record = await connect(flags).call('getExecution', { execution })
    await (flags.json ? printJson(record) : printLine(describe(record)))
  })
  return command.addCommand(list).addCommand(get).addHelpText('after', HELP)
}

const COMMAND_WIDTH = 48

function row(execution: ExecutionInfo): string[] {
  const command = execution.argv.join(' ')
  return [
    execution.id,
    command.length > COMMAND_WIDTH ? `${command.slice(0, COMMAND_WIDTH - 1)}…` : command,
    outcome(execution),
    execution.durationMs === null ? '-' : span(execution.durationMs),
    bytes(execution.outputBytes),
    ago(execution.createdAt),
  ]
}

const outcome = ({ state, ending, exitCode, signal }: ExecutionInfo): string =>
  ending === null ? state : ending === 'exited' ? `exit ${exitCode}` : (signal ?? ending)

const describe = (execution: ExecutionInfo): string =>
  facts([
    ['id', execution.id],
    ['sandbox', execution.sandboxId],
    ['command', JSON.stringify(execution.argv)],
    ['state', execution.state],
    ['ended', execution.ending && outcome(execution)],
    ['evidence', execution.message],
    ['took', execution.durationMs === null ? null : span(execution.durationMs)],
    ['output', `${bytes(execution.outputBytes)}${execution.outputTruncated ? ', cut at its limit' : ''}`],
    ['largest', execution.maxRssBytes === null ? null : `${bytes(execution.maxRssBytes)} resident`],
    ['started', execution.startedAt],
  ])
