import { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { printJson, printLine } from '../stdio.ts'
import { table } from '../table.ts'

export function build(): Command {
  const command = new Command('runtimes').description('What sandboxes can be made of.')
  const list = new Command('list').alias('ls').description('list runtimes')
  withConnection(list).action(async (flags: ConnectionOptions & { json?: boolean }) => {
    const answer = await connect(flags).call('listRuntimes')
    if (flags.json) return printJson(answer)
    const rows = answer.runtimes.map(({ name, id, built, description }) => [
      name,
      id,
      built ? 'yes' : 'no',
      description,
    ])
    await printLine(table(['NAME', 'ID', 'BUILT', 'DESCRIPTION'], rows))
  })
  return command
    .addCommand(list, { isDefault: true })
    .addHelpText('after', '\nExample:\n  caisson runtimes list')
}
