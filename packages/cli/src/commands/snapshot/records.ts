import type { InputOf, Lineage, Snapshot } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../../connection.ts'
import { tellMore, withOrder, withPage } from '../../paging.ts'
import { note, printJson, printLine } from '../../stdio.ts'
import { ago, bytes, facts, table } from '../../table.ts'

/** `list`, `get` and `lineage`. */
export const snapshotRecords = (): Command[] => [listCommand(), getCommand(), lineageCommand()]

/** "name:tag", or the name of one without a tag. */
export const title = ({ name, tag }: Snapshot): string => (tag === null ? name : `${name}:${tag}`)

type ListFlags = CommonFlags & InputOf<'listSnapshots'>

function listCommand(): Command {
  const list = new Command('list').alias('ls').description('list snapshots')
  list
    .option('--sandbox <id>', 'only those of this sandbox')
    .option('--name <name>', 'only those of this name')
    .option('--tag <tag>', 'only those with this tag')
    .option('--public', 'only those that are public')
  withOrder(withPage(list), ['created', 'name', 'size', 'files'], 'desc')
  return withConnection(list).action(async ({ json, url, dataDir, ...query }: ListFlags) => {
    const page = await connect({ ...(url && { url }), ...(dataDir && { dataDir }) }).call(
      'listSnapshots',
      query,
    )
    if (json) return printJson(page)
    if (page.snapshots.length === 0) return note('no snapshots')
    const heading = ['ID', 'NAME', 'TAG', 'RUNTIME', 'SIZE', 'FILES', 'SANDBOXES', 'AGE']
    await printLine(table(heading, page.snapshots.map(row)))
    tellMore(page.total, page.snapshots.length, { offset: query.offset ?? 0 })
  })
}

const sizeOf = ({ sizeBytes }: Snapshot): string => (sizeBytes === null ? '-' : bytes(sizeBytes))

const row = (snapshot: Snapshot): string[] => [
  snapshot.id,
  snapshot.name,
  snapshot.tag ?? '-',
  snapshot.runtime,
  sizeOf(snapshot),
  snapshot.fileCount === null ? '-' : String(snapshot.fileCount),
  String(snapshot.sandboxes),
  ago(snapshot.createdAt),
]

function getCommand(): Command {
  const get = new Command('get').aliases(['show', 'info']).description('show a snapshot')
  return onSnapshot(get).action(async (reference: string, flags: CommonFlags) => {
    const snapshot = await connect(flags).snapshots.get(reference)
    await (flags.json ? printJson(snapshot) : printLine(describe(snapshot)))
  })
}

function describe(snapshot: Snapshot): string {
  return facts([
    ['id', snapshot.id],
    ['name', snapshot.name],
    ['tag', snapshot.tag],
    ['description', snapshot.description],
    ['public', snapshot.public ? 'yes' : 'no'],
    ['processes', snapshot.memory ? 'yes' : 'no'],
    ['runtime', snapshot.runtime],
    ['dependencies', snapshot.dependencies.join(' ')],
    ['packages', snapshot.packages.join(' ')],
    ['variables', snapshot.env.join(' ')],
    ['size', snapshot.sizeBytes === null ? 'not measured yet' : bytes(snapshot.sizeBytes)],
    ['files', snapshot.fileCount === null ? null : String(snapshot.fileCount)],
    ['made from', snapshot.sandboxId ?? 'an imported file'],
    ['parent', snapshot.parentId],
    ['sandboxes', String(snapshot.sandboxes)],
    ['content', snapshot.contentHash],
    ['created', `${snapshot.createdAt} (${ago(snapshot.createdAt)} ago)`],
    [
      'metadata',
      Object.entries(snapshot.metadata)
        .map(([key, value]) => `${key}=${value}`)
        .join(' '),
    ],
  ])
}

function lineageCommand(): Command {
  const lineage = new Command('lineage').description('what it was made from, and what was made from it')
  return onSnapshot(lineage).action(async (reference: string, flags: CommonFlags) => {
    const answer = await connect(flags).snapshots.lineage(reference)
    if (flags.json) return printJson(answer)
    const lines = linesOf(answer)
    if (lines.length === 0) return note('it was made from no snapshot, and nothing was made from it')
    await printLine(table(['RELATION', 'ID', 'NAME'], lines))
  })
}

const linesOf = ({ ancestors, children, sandboxes }: Lineage): string[][] => [
  ...ancestors.map((each) => ['ancestor', each.id, title(each)]),
  ...children.map((each) => ['child', each.id, title(each)]),
  ...sandboxes.map((id) => ['sandbox', id, '-']),
]

const onSnapshot = (command: Command): Command =>
  withConnection(command.argument('<snapshot>', 'id, name:tag, name or tag'))
