import type { InputOf, Runtime } from 'caisson'
import { Command } from 'commander'
import { type ConfirmFlags, confirm, withConfirm } from '../confirm.ts'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { UsageError } from '../failure.ts'
import { defined } from '../options.ts'
import { tellMore, withOrder, withPage } from '../paging.ts'
import { note, printJson, printLine } from '../stdio.ts'
import { stoppable } from '../stop.ts'
import { ago, facts, printable, table } from '../table.ts'
import { sendFile } from './snapshot/archives.ts'

const HELP = `
A runtime is built at its first use; "build" does it ahead, and says what it does.

Examples:
  caisson runtime list
  caisson runtime get python:3.13
  caisson runtime build node:lts
  caisson runtime import alpine:3 --from docker.io/library/alpine:3
  caisson runtime import mine:1 image.tar           a file of "docker save" or "podman save"
  caisson rt delete mine:1 --confirm`

export function build(): Command {
  const command = new Command('runtime').description('What sandboxes can be made of.')
  command.addCommand(listCommand(), { isDefault: true })
  for (const sub of [getCommand(), buildCommand(), importCommand(), deleteCommand()]) command.addCommand(sub)
  return command.addHelpText('after', HELP)
}

function listCommand(): Command {
  const list = new Command('list').alias('ls').description('list runtimes')
  withOrder(withPage(list), ['name', 'created'], 'asc')
  return withConnection(list).action(
    async ({ json, url, dataDir, ...query }: CommonFlags & InputOf<'listRuntimes'>) => {
      const page = await connect(defined({ url, dataDir })).call('listRuntimes', query)
      if (json) return printJson(page)
      await printLine(table(['ID', 'BUILT', 'SOURCE', 'DESCRIPTION'], page.runtimes.map(row)))
      tellMore(page.total, page.runtimes.length, { offset: query.offset ?? 0 })
    },
  )
}

const row = ({ id, source, built, description }: Runtime): string[] => [
  id,
  built ? 'yes' : 'no',
  source,
  description,
]

function getCommand(): Command {
  const get = new Command('get').aliases(['show', 'info']).description('show a runtime')
  return withConnection(get.argument('<runtime>', 'name:tag')).action(
    async (name: string, flags: CommonFlags) => {
      const runtime = await connect(flags).runtimes.get(name)
      await (flags.json ? printJson(runtime) : printLine(describe(runtime)))
    },
  )
}

function describe(runtime: Runtime): string {
  const { memory, cpu, disk } = runtime.requirements
  return facts([
    ['id', runtime.id],
    ['name', runtime.name],
    ['description', runtime.description],
    ['notes', runtime.notes],
    ['source', runtime.source === 'image' ? 'an imported image' : 'comes with Caisson'],
    ['built', runtime.built ? `yes${runtime.createdAt ? `, ${ago(runtime.createdAt)} ago` : ''}` : 'no'],
    ['memory', memory && `at least ${memory}`],
    ['CPU', cpu && `at least ${cpu}`],
    ['disk', disk && `at least ${disk}`],
    ['tags', runtime.tags.join(' ')],
    ['url', runtime.url],
  ])
}

function buildCommand(): Command {
  const command = new Command('build').description('build a runtime ahead of its first use')
  command
    .argument('<runtime>', 'name:tag')
    .option('--force', 'build it anew')
    .option('--quiet', 'do not tell the steps')
  return withConnection(command).action(
    async (name: string, flags: CommonFlags & { force?: boolean; quiet?: boolean }) => {
      const { runtimes } = connect(flags)
      const runtime = await stoppable('The build', undefined, (signal) =>
        runtimes.build(name, { force: flags.force, onStep: teller(flags), signal }),
      )
      await (flags.json ? printJson(runtime) : printLine(runtime.id))
    },
  )
}

/** Steps come from programs that ran in a sandbox. */
const teller =
  ({ quiet, json }: { quiet?: boolean; json?: boolean }) =>
  (step: string): void => {
    if (!quiet && !json) note(printable(step))
  }

type ImportFlags = CommonFlags & { from?: string; insecure?: boolean; quiet?: boolean }

function importCommand(): Command {
  const command = new Command('import').description('make a runtime of an OCI image')
  command
    .argument('<name>', 'what it is called, name:tag')
    .argument('[file]', 'an archive of the image, or - for stdin')
    .option('--from <reference>', 'the image in a registry, such as docker.io/library/alpine:3')
    .option('--insecure', 'the registry speaks plain HTTP or has an unknown certificate')
    .option('--quiet', 'do not tell the steps')
  return withConnection(command).action(
    async (name: string, file: string | undefined, flags: ImportFlags) => {
      const runtime = await importImage(name, file, flags)
      await (flags.json ? printJson(runtime) : printLine(runtime.id))
    },
  )
}

function importImage(name: string, file: string | undefined, flags: ImportFlags): Promise<Runtime> {
  const { from: reference, insecure } = flags
  if ((file === undefined) === (reference === undefined))
    throw new UsageError('Which image? Give a file, or --from <reference> for one in a registry.')
  if (insecure && reference === undefined) throw new UsageError('--insecure is for a registry: give --from.')
  const { runtimes } = connect(flags)
  const onStep = teller(flags)
  if (reference !== undefined)
    return stoppable('The import', undefined, (signal) =>
      runtimes.import(name, { reference, insecure }, { onStep, signal }),
    )
  return sendFile('The import', file!, flags, (source, signal) =>
    runtimes.import(name, source, { onStep, signal }),
  )
}

function deleteCommand(): Command {
  const remove = new Command('delete')
    .aliases(['rm', 'del', 'remove'])
    .description('delete an imported runtime; what was made from it stays whole')
  remove.argument('<runtime>', 'name:tag')
  return withConnection(withConfirm(remove)).action(async (name: string, flags: ConfirmFlags) => {
    await confirm(`Delete runtime ${name}?`, flags)
    await connect(flags).runtimes.delete(name)
    await (flags.json ? printJson({ deleted: name }) : printLine(`deleted ${name}`))
  })
}
