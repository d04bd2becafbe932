import type { InputOf, Volume } from 'caisson'
import { Command } from 'commander'
import { type ConfirmFlags, confirm, withConfirm } from '../../confirm.ts'
import { type CommonFlags, connect, withConnection } from '../../connection.ts'
import { defined, gatherMetadata } from '../../options.ts'
import { tellMore, withOrder, withPage } from '../../paging.ts'
import { note, printJson, printLine } from '../../stdio.ts'
import { ago, bytes, facts, table } from '../../table.ts'

/** `create`, `list`, `get` and `delete`. */
export const volumeRecords = (): Command[] => [createCommand(), listCommand(), getCommand(), deleteCommand()]

type CreateFlags = CommonFlags & { size?: string; metadata?: Record<string, string> }

function createCommand(): Command {
  const create = new Command('create').alias('new').description('create a volume; prints the id')
  create
    .argument('<name>', 'unique among volumes')
    .option('--size <size>', 'what it may hold, such as 1Gi (default: what there is room for)')
    .option('--metadata <json-or-key=value>', 'your own data (repeatable)', gatherMetadata)
  return withConnection(create).action(async (name: string, flags: CreateFlags) => {
    const { size, metadata } = flags
    const volume = await connect(flags).volumes.create({ name, ...defined({ size, metadata }) })
    await (flags.json ? printJson(volume) : printLine(volume.id))
  })
}

type ListFlags = CommonFlags & InputOf<'listVolumes'>

function listCommand(): Command {
  const list = withOrder(withPage(new Command('list')), ['created', 'name'], 'desc')
  list.description('list volumes')
  return withConnection(list).action(async ({ json, url, dataDir, ...query }: ListFlags) => {
    const page = await connect(defined({ url, dataDir })).call('listVolumes', query)
    if (json) return printJson(page)
    if (page.volumes.length === 0) return note('no volumes')
    await printLine(table(['ID', 'NAME', 'USED', 'LIMIT', 'SANDBOXES', 'AGE'], page.volumes.map(row)))
    tellMore(page.total, page.volumes.length, { offset: query.offset ?? 0 })
  })
}

const row = ({ id, name, usedBytes, limitBytes, mounts, createdAt }: Volume): string[] => [
  id,
  name,
  usedBytes === null ? '-' : bytes(usedBytes),
  limitBytes === null ? '-' : bytes(limitBytes),
  String(mounts.length),
  ago(createdAt),
]

function getCommand(): Command {
  const get = new Command('get').aliases(['show', 'info']).description('show a volume, and who has it')
  return onVolume(get).action(async (name: string, flags: CommonFlags) => {
    const volume = await connect(flags).volumes.get(name)
    await (flags.json ? printJson(volume) : printLine(describe(volume)))
  })
}

const describe = (volume: Volume): string =>
  facts([
    ['id', volume.id],
    ['name', volume.name],
    ['used', volume.usedBytes === null ? 'not counted here' : bytes(volume.usedBytes)],
    ['limit', volume.limitBytes === null ? 'none of its own' : bytes(volume.limitBytes)],
    ...volume.mounts.map(
      ({ sandboxId, path, readOnly }) =>
        ['mounted', `${sandboxId}:${path}${readOnly ? ' (read only)' : ''}`] as const,
    ),
    ['created', `${volume.createdAt} (${ago(volume.createdAt)} ago)`],
    [
      'metadata',
      Object.entries(volume.metadata)
        .map(([key, value]) => `${key}=${value}`)
        .join(' '),
    ],
  ])

function deleteCommand(): Command {
  const remove = new Command('delete')
    .aliases(['del', 'remove'])
    .description('delete volumes and everything in them; refused while a sandbox has one')
  remove.argument('<volume...>', 'ids or names')
  return withConnection(withConfirm(remove)).action(async (names: string[], flags: ConfirmFlags) => {
    await confirm(`Delete ${names.join(', ')} and everything in them?`, flags)
    const { volumes } = connect(flags)
    for (const name of names) {
      await volumes.delete(name)
      if (!flags.json) await printLine(`deleted ${name}`)
    }
    if (flags.json) await printJson({ deleted: names })
  })
}

const onVolume = (command: Command): Command => withConnection(command.argument('<volume>', 'id or name'))
