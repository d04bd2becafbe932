import type { SandboxInfo } from 'caisson'
import { Command } from 'commander'
import { type ConfirmFlags, confirm, withConfirm } from '../confirm.ts'
import { connect, withConnection } from '../connection.ts'
import { printJson, printLine } from '../stdio.ts'

const HELP = `
Asks first when a person is at the terminal; --confirm, or a script, is taken at its word. Deleting one that has ended
changes nothing and is no failure.

Examples:
  caisson delete work
  caisson rm sbx_abc123 sbx_def456 --confirm
  caisson list --json | jq -r '.sandboxes[].id' | xargs -r caisson delete`

export function build(): Command {
  const command = new Command('delete').description('Delete sandboxes and everything in them.')
  command.argument('<sandbox...>', 'ids or names')
  return withConnection(withConfirm(command))
    .addHelpText('after', HELP)
    .action(async (ids: string[], flags: ConfirmFlags) => {
      await confirm(`Delete ${ids.join(', ')} and everything in it?`, flags)
      const client = connect(flags)
      const sandboxes: SandboxInfo[] = []
      for (const id of ids) {
        const sandbox = await client.call('deleteSandbox', { id })
        sandboxes.push(sandbox)
        if (!flags.json) await printLine(`deleted ${sandbox.id}`)
      }
      if (flags.json) await printJson({ sandboxes })
    })
}
