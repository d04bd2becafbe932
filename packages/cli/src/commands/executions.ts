import type { ExecutionInfo, InputOf } from 'caisson'
import { Command, Option } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { commandText, describeExecution, outcome, took } from '../describe-execution.ts'
import { type LogFlags, printLogs, withLogOptions } from '../logs.ts'
import { wholeNumber } from '../options.ts'
import { note, printJson, printLine } from '../stdio.ts'
import { ago, bytes, table } from '../table.ts'

const HELP = `
Examples:
  caisson executions list work
  caisson executions list work --state ended --since 2026-01-01T00:00:00Z --direction asc
  caisson executions get exe_abc123 --json
  caisson executions logs exe_abc123 --tail 20
  caisson attach exe_abc123                 its output, exactly, and its exit code`

export function build(): Command {
  const command = new Command('executions').description('What was run, and how it ended.')
  const get = new Command('get').aliases(['show', 'info']).description('show an execution')
  withConnection(get.argument('<execution>', 'id')).action(async (execution: string, flags: CommonFlags) => {
    const record = await connect(flags).call('getExecution', { execution })
    await (flags.json ? printJson(record) : printLine(describeExecution(record)))
  })
  const logs = new Command('logs').description('print its output as text')
  withConnection(withLogOptions(logs.argument('<execution>', 'id'))).action(
    (execution: string, flags: CommonFlags & LogFlags) => printLogs(connect(flags), execution, flags),
  )
  return command.addCommand(listCommand()).addCommand(get).addCommand(logs).addHelpText('after', HELP)
}

function listCommand(): Command {
  const list = new Command('list').alias('ls').description('list the executions of a sandbox, newest first')
  list
    .argument('<sandbox>', 'id or name')
    .addOption(new Option('--state <state>', 'only those').choices(['pending', 'running', 'ended']))
    .addOption(new Option('--kind <kind>', 'only those').choices(['command', 'job']))
    .option('--tag <name>', 'only those that were started with this tag')
    .option('--since <time>', 'only those created at or after, such as 2026-01-01T00:00:00Z')
    .option('--limit <n>', 'at most so many, up to 100 (default: 50)', wholeNumber)
    .option('--offset <n>', 'leave out the first', wholeNumber)
    .addOption(new Option('--direction <dir>', 'by age (default: desc)').choices(['asc', 'desc']))
  return withConnection(list).action(listExecutions)
}

type ListFlags = CommonFlags & Omit<InputOf<'listExecutions'>, 'id'>

async function listExecutions(id: string, { json, url, dataDir, ...query }: ListFlags): Promise<void> {
  const connection = { ...(url !== undefined && { url }), ...(dataDir !== undefined && { dataDir }) }
  const page = await connect(connection).call('listExecutions', { ...query, id })
  if (json) return printJson(page)
  if (page.executions.length === 0) return note('no executions')
  const heading = ['ID', 'TAG', 'COMMAND', 'ENDED', 'TIME', 'OUTPUT', 'AGE']
  await printLine(table(heading, page.executions.map(row)))
  const shown = (query.offset ?? 0) + page.executions.length
  if (page.total > shown) note(`${page.total} in all; --offset ${shown} shows more`)
}

const row = (execution: ExecutionInfo): string[] => [
  execution.id,
  execution.tag ?? '-',
  commandText(execution),
  outcome(execution),
  took(execution),
  bytes(execution.outputBytes),
  ago(execution.createdAt),
]
