import { Command } from 'commander'
import { type ConfirmFlags, confirm, withConfirm } from '../../confirm.ts'
import { type CommonFlags, connect, withConnection } from '../../connection.ts'
import { UsageError } from '../../failure.ts'
import { defined, gatherMetadata } from '../../options.ts'
import { note, printJson, printLine } from '../../stdio.ts'
import { title } from './records.ts'

/** `create`, `tag` and `delete`. */
export const snapshotChanges = (): Command[] => [createCommand(), tagCommand(), deleteCommand()]

/** What `create` and `build` say of a snapshot. */
export interface SnapshotFlags {
  name?: string
  tag?: string
  description?: string
  metadata?: Record<string, string>
  public?: boolean
  confirm?: boolean
}

export const withSnapshotOptions = (command: Command): Command =>
  command
    .option('--name <name>', 'lower-case letters, digits and hyphens')
    .option('--tag <tag>', 'taken from the snapshot of the same name that had it (default: latest)')
    .option('--description <text>', 'description')
    .option('--metadata <json-or-key=value>', 'your own data (repeatable)', gatherMetadata)
    .option('--public', 'let whoever reaches the server export it, without a key')
    .option('--confirm', 'make it public although it has files that look like secrets')

type CreateFlags = CommonFlags & SnapshotFlags & { env?: boolean; memory?: boolean }

function createCommand(): Command {
  const create = new Command('create').alias('new').description('save the files of a sandbox; prints the id')
  withSnapshotOptions(create.argument('<sandbox>', 'id or name'))
    .option('--env', 'its sandboxes start with the environment of this one')
    .option('--memory', 'keep its processes too: new sandboxes go on where they are')
  return withConnection(create).action(async (id: string, flags: CreateFlags) => {
    const { name, tag, description, metadata, env, memory, public: open, confirm } = flags
    const asked = defined({ name, tag, description, metadata, env, memory, public: open, confirm })
    const snapshot = await connect(flags).snapshots.create(id, asked)
    if (flags.json) return printJson(snapshot)
    await printLine(snapshot.id)
    note(`saved as ${title(snapshot)}`)
  })
}

function tagCommand(): Command {
  const tag = new Command('tag').description('give a snapshot a tag, or take it away')
  tag
    .argument('<snapshot>', 'id, name:tag, name or tag')
    .argument('[tag]', 'taken from the snapshot of the same name that had it')
    .option('--clear', 'take its tag away')
  return withConnection(tag).action(
    async (reference: string, name: string | undefined, flags: CommonFlags & { clear?: boolean }) => {
      if ((name === undefined) === !flags.clear)
        throw new UsageError('Which tag? Write one, or --clear to take away the one that it has.')
      const snapshot = await connect(flags).snapshots.tag(reference, name ?? null)
      await (flags.json ? printJson(snapshot) : printLine(`${snapshot.id} ${title(snapshot)}`))
    },
  )
}

function deleteCommand(): Command {
  const remove = new Command('delete')
    .aliases(['rm', 'del', 'remove'])
    .description('delete snapshots; what was made from them stays whole')
  remove.argument('<snapshot...>', 'id, name:tag, name or tag')
  return withConnection(withConfirm(remove)).action(async (references: string[], flags: ConfirmFlags) => {
    await confirm(`Delete ${references.join(', ')}?`, flags)
    const { snapshots } = connect(flags)
    for (const reference of references) {
      await snapshots.delete(reference)
      if (!flags.json) await printLine(`deleted ${reference}`)
    }
    if (flags.json) await printJson({ deleted: references })
  })
}
