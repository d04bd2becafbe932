import type { InputOf, Template } from 'caisson'
import { Command } from 'commander'
import { type ConfirmFlags, confirm, withConfirm } from '../../confirm.ts'
import { type CommonFlags, connect, withConnection } from '../../connection.ts'
import { defined } from '../../options.ts'
import { tellMore, withOrder, withPage } from '../../paging.ts'
import { note, printJson, printLine } from '../../stdio.ts'
import { ago, facts, table } from '../../table.ts'

/** `list`, `get`, `delete`, `tag` and `untag`. */
export const templateRecords = (): Command[] => [
  listCommand(),
  getCommand(),
  deleteCommand(),
  tagCommand(),
  untagCommand(),
]

type ListFlags = CommonFlags & InputOf<'listTemplates'>

function listCommand(): Command {
  const list = new Command('list').alias('ls').description('list templates')
  withOrder(withPage(list), ['name', 'created'], 'asc')
  return withConnection(list).action(async ({ json, url, dataDir, ...query }: ListFlags) => {
    const page = await connect(defined({ url, dataDir })).call('listTemplates', query)
    if (json) return printJson(page)
    if (page.templates.length === 0) return note('no templates')
    await printLine(table(['ID', 'NAME', 'TAGS', 'SANDBOXES', 'AGE'], page.templates.map(row)))
    tellMore(page.total, page.templates.length, { offset: query.offset ?? 0 })
  })
}

const row = ({ id, name, tags, sandboxes, createdAt }: Template): string[] => [
  id,
  name,
  tags.map(({ tag }) => tag).join(',') || '-',
  String(sandboxes),
  ago(createdAt),
]

function getCommand(): Command {
  const get = new Command('get').aliases(['show', 'info']).description('show a template, and its tags')
  return onTemplate(get).action(async (name: string, flags: CommonFlags) => {
    const template = await connect(flags).templates.get(name)
    await (flags.json ? printJson(template) : printLine(describe(template)))
  })
}

const describe = (template: Template): string =>
  facts([
    ['id', template.id],
    ['name', template.name],
    ...template.tags.map(
      ({ tag, buildId, createdAt }) => ['tag', `${tag}  ${buildId}, ${ago(createdAt)} ago`] as const,
    ),
    ['memory', template.resources.memory],
    ['CPU', template.resources.cpu],
    ['disk', template.resources.disk],
    ['sandboxes', String(template.sandboxes)],
    ['created', `${template.createdAt} (${ago(template.createdAt)} ago)`],
  ])

function deleteCommand(): Command {
  const remove = new Command('delete')
    .aliases(['rm', 'del', 'remove'])
    .description('delete templates and their builds; their sandboxes go on')
  remove.argument('<template...>', 'ids or names')
  return withConnection(withConfirm(remove)).action(async (names: string[], flags: ConfirmFlags) => {
    await confirm(`Delete ${names.join(', ')} and all builds?`, flags)
    const { templates } = connect(flags)
    for (const name of names) {
      await templates.delete(name)
      if (!flags.json) await printLine(`deleted ${name}`)
    }
    if (flags.json) await printJson({ deleted: names })
  })
}

function tagCommand(): Command {
  const tag = onTemplate(new Command('tag').description('put tags on a build that is ready'))
  return tag
    .argument('<tag...>')
    .option('--build <build>', 'id of a build, or one of its tags', 'latest')
    .action(async (name: string, tags: string[], flags: CommonFlags & { build: string }) => {
      await told(await connect(flags).templates.tag(name, flags.build, tags), flags)
    })
}

function untagCommand(): Command {
  const untag = onTemplate(new Command('untag').description('take tags away'))
  return untag.argument('<tag...>').action(async (name: string, tags: string[], flags: CommonFlags) => {
    await told(await connect(flags).templates.untag(name, tags), flags)
  })
}

async function told(template: Template, { json }: CommonFlags): Promise<void> {
  const tags = template.tags.map(({ tag }) => tag).join(',') || 'no tags'
  await (json ? printJson(template) : printLine(`${template.id} ${template.name} ${tags}`))
}

const onTemplate = (command: Command): Command => withConnection(command.argument('<template>', 'id or name'))
