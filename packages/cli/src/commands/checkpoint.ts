import { type Checkpoint, Checkpoints } from 'caisson'
import { Command, Option } from 'commander'
import { type ConfirmFlags, confirm, withConfirm } from '../confirm.ts'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { type PageFlags, tellMore, withPage } from '../paging.ts'
import { withProgress } from '../progress.ts'
import { note, printJson, printLine } from '../stdio.ts'
import { ago, bytes, table } from '../table.ts'

const HELP = `
A checkpoint is the state of a sandbox's files, for the same sandbox. Making one takes the same short time whatever their
size, while it goes on. Restoring ends what runs in it and puts the files back.

Examples:
  caisson checkpoint create work before-upgrade
  caisson checkpoint list work
  caisson checkpoint restore work before-upgrade
  caisson ckpt delete work before-upgrade --confirm`

export function build(): Command {
  const command = new Command('checkpoint').description('Save points of the files of a sandbox.')
  for (const sub of [createCommand(), listCommand(), restoreCommand(), deleteCommand()])
    command.addCommand(sub)
  return command.addHelpText('after', HELP)
}

function createCommand(): Command {
  const create = new Command('create')
    .alias('new')
    .description('save the files as they are now; prints the id')
  create.argument('<sandbox>', 'id or name').argument('[name]', "unique among the sandbox's checkpoints")
  return withConnection(create).action(async (id: string, name: string | undefined, flags: CommonFlags) => {
    const made = await new Checkpoints(connect(flags), id).create(name)
    await (flags.json ? printJson(made) : printLine(made.id))
  })
}

function listCommand(): Command {
  const list = new Command('list').alias('ls').description('list the checkpoints of a sandbox')
  withPage(list.argument('<sandbox>', 'id or name')).addOption(
    new Option('--direction <dir>', 'order by age (default: asc)').choices(['asc', 'desc']),
  )
  return withConnection(list).action(
    async (id: string, flags: CommonFlags & PageFlags & { direction?: 'asc' | 'desc' }) => {
      const { limit, offset, direction } = flags
      const answer = await connect(flags).call('listCheckpoints', { id, limit, offset, direction })
      if (flags.json) return printJson(answer)
      if (answer.checkpoints.length === 0) return note('no checkpoints')
      await printLine(table(['ID', 'NAME', 'SIZE', 'FILES', 'AGE'], answer.checkpoints.map(row)))
      tellMore(answer.total, answer.checkpoints.length, flags)
    },
  )
}

const row = ({ id, name, sizeBytes, fileCount, createdAt }: Checkpoint): string[] => [
  id,
  name ?? '-',
  sizeBytes === null ? '-' : bytes(sizeBytes),
  fileCount === null ? '-' : String(fileCount),
  ago(createdAt),
]

function restoreCommand(): Command {
  const restore = new Command('restore').description('put the files back; what runs in the sandbox ends')
  return onCheckpoint(restore).action(async (id: string, checkpoint: string, flags: ConfirmFlags) => {
    await confirm(`End what runs in ${id} and put its files back to ${checkpoint}?`, flags)
    const work = new Checkpoints(connect(flags), id).restore(checkpoint)
    const sandbox = await withProgress('restoring the sandbox', work)
    await (flags.json ? printJson(sandbox) : printLine(`${sandbox.id} ${sandbox.status}`))
  })
}

function deleteCommand(): Command {
  const remove = new Command('delete').aliases(['rm', 'del', 'remove']).description('delete a checkpoint')
  return onCheckpoint(remove).action(async (id: string, checkpoint: string, flags: ConfirmFlags) => {
    await confirm(`Delete checkpoint ${checkpoint} of ${id}?`, flags)
    await new Checkpoints(connect(flags), id).delete(checkpoint)
    await (flags.json ? printJson({ deleted: checkpoint }) : printLine(`deleted ${checkpoint}`))
  })
}

const onCheckpoint = (command: Command): Command =>
  withConnection(
    withConfirm(command.argument('<sandbox>', 'id or name').argument('<checkpoint>', 'id or name')),
  )
