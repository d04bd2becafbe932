import { type JobInfo, Jobs } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { commandText, describeExecution, outcome, took } from '../describe-execution.ts'
import { UsageError } from '../failure.ts'
import { type LogFlags, printLogs, withLogOptions } from '../logs.ts'
import { commandOf, gatherEnv, type StartFlags, wholeNumber, withStartOptions } from '../options.ts'
import { note, printJson, printLine } from '../stdio.ts'
import { ago, table } from '../table.ts'
import { attachable } from '../terminal.ts'

const HELP = `
A job is a command in the background. It goes on when the request, this program and the server end; it has no time
limit unless --timeout gives one, and the last part of its output is kept.

Examples:
  caisson job create work -- npm run build        prints the job's id
  caisson job create work --tag web --cwd site -- python3 -m http.server
  caisson job list work
  caisson job logs work job_abc123 -f
  caisson job stop work job_abc123                SIGTERM, then SIGKILL; --force: SIGKILL at once
  caisson attach job_abc123                       its exit code becomes yours`

export function build(tail: string[] | undefined): Command {
  const command = new Command('job')
    .description('Commands in the background of a sandbox.')
    .enablePositionalOptions()
  for (const sub of [createCommand(tail), listCommand(), getCommand(), stopCommand(), logsCommand()])
    command.addCommand(sub)
  return command.addHelpText('after', HELP)
}

type CreateFlags = CommonFlags &
  StartFlags & { env?: Record<string, string>; tty?: boolean; interactive?: boolean }

function createCommand(tail: string[] | undefined): Command {
  const create = new Command('create').aliases(['new', 'start']).description('start a job and print its id')
  create
    .argument('<sandbox>', 'id or name')
    .argument('[command...]', 'the program and its arguments, best after --')
    .option('--env <KEY=VALUE>', 'environment variable; KEY alone passes yours on (repeatable)', gatherEnv)
    .option('-t, --tty', 'give it a terminal, for "caisson attach -t"')
    .option('-i, --interactive', 'keep its stdin open, for "caisson attach -i"')
  return withConnection(withStartOptions(create))
    .passThroughOptions(tail === undefined)
    .action(async (id: string, words: string[], flags: CreateFlags) => {
      const argv = [...words, ...(tail ?? [])]
      if (argv.length === 0 || argv[0]!.startsWith('-'))
        throw new UsageError('What is to be run? Write: caisson job create <sandbox> [options] -- <command>')
      const options = { ...commandOf(flags), ...attachable(flags), ...(flags.env && { env: flags.env }) }
      const { info } = await new Jobs(connect(flags), id, () => null).start(argv, options)
      await (flags.json ? printJson(info) : printLine(info.id))
    })
}

function listCommand(): Command {
  const list = new Command('list').alias('ls').description('list the jobs of a sandbox, newest first')
  list
    .argument('<sandbox>', 'id or name')
    .option('--limit <n>', 'at most so many, up to 100 (default: 50)', wholeNumber)
    .option('--offset <n>', 'leave out the first', wholeNumber)
  return withConnection(list).action(
    async (id: string, flags: CommonFlags & { limit?: number; offset?: number }) => {
      const { limit, offset } = flags
      const page = await connect(flags).call('listJobs', { id, limit, offset })
      if (flags.json) return printJson(page)
      if (page.jobs.length === 0) return note('no jobs')
      await printLine(table(['ID', 'STATUS', 'TAG', 'COMMAND', 'ENDED', 'TIME', 'AGE'], page.jobs.map(row)))
    },
  )
}

const row = (job: JobInfo): string[] => [
  job.id,
  job.status,
  job.tag ?? '-',
  commandText(job),
  job.ending === null ? '-' : outcome(job),
  took(job),
  ago(job.createdAt),
]

function getCommand(): Command {
  const get = new Command('get').aliases(['show', 'info', 'status']).description('show a job')
  return onJob(get, async (client, id, job, flags) => {
    const record = await client.call('getJob', { id, job })
    await (flags.json ? printJson(record) : printLine(describeExecution(record, record.status)))
  })
}

function stopCommand(): Command {
  const stop = new Command('stop').description('stop a job; stopping one that has ended changes nothing')
  stop
    .aliases(['destroy', 'delete', 'del', 'remove', 'rm', 'terminate', 'kill'])
    .option('--force', 'SIGKILL at once')
  return onJob(stop, async (client, id, job, flags: CommonFlags & { force?: boolean }) => {
    const record = await client.call('stopJob', { id, job, force: flags.force === true })
    await (flags.json ? printJson(record) : printLine(`${record.id} ${record.status}`))
  })
}

function logsCommand(): Command {
  const logs = withLogOptions(new Command('logs').description('print the output of a job as text'))
  return onJob(logs, async (client, id, job, flags: CommonFlags & LogFlags) => {
    // Logs are found by the job alone; that it is this sandbox's is asked for here.
    const record = await client.call('getJob', { id, job })
    await printLogs(client, record.id, flags)
  })
}

function onJob<F extends CommonFlags>(
  command: Command,
  act: (client: ReturnType<typeof connect>, id: string, job: string, flags: F) => Promise<void>,
): Command {
  command.argument('<sandbox>', 'id or name').argument('<job>', 'id')
  return withConnection(command).action((id: string, job: string, flags: F) =>
    act(connect(flags), id, job, flags),
  )
}
