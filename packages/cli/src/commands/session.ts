import type { InputOf, SessionInfo } from 'caisson'
import { Command, Option } from 'commander'
import { type ConfirmFlags, confirm, withConfirm } from '../confirm.ts'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { defined } from '../options.ts'
import { tellMore, withOrder, withPage } from '../paging.ts'
import { type PauseFlags, pausesOf, withPauseOptions } from '../pause-options.ts'
import { type SandboxFlags, sandboxOf, withSandboxOptions } from '../sandbox-options.ts'
import { note, printJson, printLine } from '../stdio.ts'
import { ago, facts, span, table } from '../table.ts'

const HELP = `
A session is a sandbox for one conversation: it is recorded at once and started by the first command, and it is paused an
hour after each start, as soon as nothing runs. /home/agent/workspace is kept until the session is deleted.

Examples:
  caisson session create --name chat-42 --runtime python:3.13     prints the id of its sandbox
  caisson exec "$(caisson session get chat-42 --json | jq -r .sandboxId)" -- python3 turn.py
  caisson session list --status paused
  caisson session delete chat-42 --confirm`

const STATUSES = ['recorded', 'active', 'paused', 'deleted']

export function build(): Command {
  const command = new Command('session').description('Sandboxes for conversations.')
  for (const sub of [createCommand(), listCommand(), getCommand(), deleteCommand()]) command.addCommand(sub)
  return command.addHelpText('after', HELP)
}

type CreateFlags = CommonFlags & SandboxFlags & PauseFlags & { pauseAfter?: string }

function createCommand(): Command {
  const create = new Command('create')
    .alias('new')
    .description('record a session; prints the id of its sandbox')
  create.option('--pause-after <duration>', 'paused so long after each start (default: 1h); 0: never')
  return withConnection(withPauseOptions(withSandboxOptions(create))).action(async (flags: CreateFlags) => {
    // The name and the data are the session's; its sandbox is found by the session.
    const { name, metadata, projectId, orgId, ...sandbox } = { ...sandboxOf(flags), ...pausesOf(flags) }
    const own = defined({ name, metadata, projectId, orgId, pauseAfter: flags.pauseAfter })
    const { info } = await connect(flags).sessions.create({ ...own, sandbox })
    await (flags.json ? printJson(info) : printLine(info.sandboxId))
  })
}

type ListFlags = CommonFlags & InputOf<'listSessions'>

function listCommand(): Command {
  const list = new Command('list').alias('ls').description('list sessions')
  list
    .addOption(new Option('--status <status>', 'only those in this status').choices(STATUSES))
    .option('--name <name>', 'only the one of this name')
    .option('--metadata <json>', 'only those in which every pair matches')
    .option('--project-id <id>', 'only those of this project')
    .option('--org-id <id>', 'only those of this organisation')
    .option('--all', 'also those that are deleted')
  withOrder(withPage(list), ['created', 'name', 'updated'], 'desc')
  return withConnection(list).action(async ({ json, url, dataDir, ...query }: ListFlags) => {
    const page = await connect(defined({ url, dataDir })).call('listSessions', query)
    if (json) return printJson(page)
    if (page.sessions.length === 0) return note('no sessions')
    await printLine(table(['ID', 'NAME', 'STATUS', 'SANDBOX', 'AGE'], page.sessions.map(row)))
    tellMore(page.total, page.sessions.length, { offset: query.offset ?? 0 })
  })
}

const row = ({ id, name, status, sandboxId, createdAt }: SessionInfo): string[] => [
  id,
  name ?? '-',
  status,
  sandboxId,
  ago(createdAt),
]

function getCommand(): Command {
  const get = new Command('get').aliases(['show', 'info']).description('show a session')
  return withConnection(get.argument('<session>', 'id or name')).action(
    async (session: string, flags: CommonFlags) => {
      const { info } = await connect(flags).sessions.get(session)
      await (flags.json ? printJson(info) : printLine(describe(info)))
    },
  )
}

const describe = (session: SessionInfo): string =>
  facts([
    ['id', session.id],
    ['name', session.name],
    ['status', session.status],
    ['sandbox', session.sandboxId],
    ['workspace', session.workspace],
    ['paused after', session.pauseAfterMs === null ? 'never' : span(session.pauseAfterMs)],
    ['created', `${session.createdAt} (${ago(session.createdAt)} ago)`],
    ['started', session.bootedAt ?? 'not yet'],
    ['deleted', session.deletedAt],
    ['project', session.projectId],
    ['organisation', session.orgId],
    [
      'metadata',
      Object.entries(session.metadata)
        .map(([key, value]) => `${key}=${value}`)
        .join(' '),
    ],
  ])

function deleteCommand(): Command {
  const remove = new Command('delete')
    .aliases(['rm', 'del', 'remove'])
    .description('delete sessions with their sandboxes and all of their files')
  remove.argument('<session...>', 'ids or names')
  return withConnection(withConfirm(remove)).action(async (names: string[], flags: ConfirmFlags) => {
    await confirm(`Delete ${names.join(', ')} and everything in them?`, flags)
    const client = connect(flags)
    const sessions: SessionInfo[] = []
    for (const name of names) {
      const session = await client.sessions.delete(name)
      sessions.push(session)
      if (!flags.json) await printLine(`deleted ${session.id}`)
    }
    if (flags.json) await printJson({ sessions })
  })
}
