import type { InputOf, SandboxInfo, Status } from 'caisson'
import { Command, InvalidArgumentError, Option } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { defined } from '../options.ts'
import { tellMore, withOrder, withPage } from '../paging.ts'
import { note, printJson, printLine } from '../stdio.ts'
import { ago, table } from '../table.ts'

const STATUSES: readonly Status[] = [
  'creating',
  'idle',
  'running',
  'paused',
  'suspended',
  'stopping',
  'terminated',
  'failed',
]
const SORTS = ['created', 'name', 'updated', 'status', 'mode', 'execution_count']

const HELP = `
Without --status and --all, those that have not ended.

Examples:
  caisson list
  caisson list --status idle --sort name --direction asc
  caisson list --status paused,suspended
  caisson list --metadata '{"team":"a"}' --json
  caisson list --all --limit 100 --offset 100`

type Flags = ConnectionOptions & { json?: boolean } & InputOf<'listSandboxes'>

export function build(): Command {
  const command = new Command('list').description('List sandboxes, newest first.')
  command
    .option('--status <status>', 'only those in this status, or in one of several (repeatable)', gatherStatus)
    .option('--name <name>', 'only the one of this name')
    .addOption(new Option('--mode <mode>', 'only those of this mode').choices(['oneshot', 'interactive']))
    .option('--metadata <json>', 'only those in which every pair matches')
    .option('--template <reference>', 'only those of this template or snapshot, by id, or of this runtime')
    .option('--created-after <time>', 'only those since then, such as 2026-11-21T10:00:00Z')
    .option('--project-id <id>', 'only those of this project')
    .option('--org-id <id>', 'only those of this organisation')
    .option('--all', 'also those that have ended')
  return withConnection(withOrder(withPage(command), SORTS, 'desc'))
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
      tellMore(page.total, page.sandboxes.length, { offset: query.offset ?? 0 })
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

function gatherStatus(text: string, before: Status[] = []): Status[] {
  const found = text.split(',').map((word) => {
    const status = STATUSES.find((known) => known === word.trim())
    if (!status) throw new InvalidArgumentError(`Allowed choices are ${STATUSES.join(', ')}.`)
    return status
  })
  return [...before, ...found]
}
