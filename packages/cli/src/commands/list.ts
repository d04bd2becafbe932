import type { InputOf, SandboxInfo } from 'caisson'
import { Command, Option } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { defined, wholeNumber } from '../options.ts'
import { note, printJson, printLine } from '../stdio.ts'
import { ago, table } from '../table.ts'

const STATUSES = ['creating', 'idle', 'running', 'paused', 'suspended', 'stopping', 'terminated', 'failed']
const SORTS = ['name', 'created', 'updated', 'status', 'mode', 'execution_count']

const HELP = `
Without --status and --all, those that have not ended.

Examples:
  caisson list
  caisson list --status idle --sort name --direction asc
  caisson list --status suspended
  caisson list --metadata '{"team":"a"}' --json
  caisson list --all --limit 100 --offset 100`

type Flags = ConnectionOptions & { json?: boolean } & InputOf<'listSandboxes'>

export function build(): Command {
  const command = new Command('list').description('List sandboxes, newest first.')
  command
    .addOption(new Option('--status <status>', 'only those in this status').choices(STATUSES))
    .option('--name <name>', 'only the one of this name')
    .addOption(new Option('--mode <mode>', 'only those of this mode').choices(['oneshot', 'interactive']))
    .option('--metadata <json>', 'only those in which every pair matches')
    .option('--project-id <id>', 'only those of this project')
    .option('--org-id <id>', 'only those of this organisation')
    .option('--all', 'also those that have ended')
    .option('--limit <n>', 'at most so many, up to 100 (default: 50)', wholeNumber)
    .option('--offset <n>', 'leave out the first', wholeNumber)
    .addOption(new Option('--sort <field>', 'order (default: created)').choices(SORTS))
    .addOption(new Option('--direction <dir>', 'order (default: desc)').choices(['asc', 'desc']))
  return withConnection(command)
    .addHelpText('after', HELP)
    .action(async ({ json, url, dataDir, ...query }: Flags) => {
      const page = await connect(defined({ url, dataDir })).call('listSandboxes', query)
      if (json) return printJson(page)
      if (page.sandboxes.length === 0) return note('no sandboxes')
      await printLine(
        table(
          ['ID', 'NAME', 'STATUS', 'MODE', 'RUNTIME', 'NETWORK', 'PORTS', 'RUNS', 'AGE'],
          page.sandboxes.map(row),
        ),
      )
      const first = query.offset ?? 0
      if (page.total > first + page.sandboxes.length)
        note(`${page.total} in all; --offset ${first + page.sandboxes.length} shows more`)
    })
}

const row = (sandbox: SandboxInfo): string[] => [
  sandbox.id,
  sandbox.name ?? '-',
  sandbox.status,
  sandbox.mode,
  sandbox.runtime,
  sandbox.network.mode,
  sandbox.ports.map(({ port }) => port).join(',') || '-',
  String(sandbox.executionCount),
  ago(sandbox.createdAt),
]
