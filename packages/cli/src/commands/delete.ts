import { createInterface } from 'node:readline/promises'
import type { SandboxInfo } from 'caisson'
import { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { EXIT, Exit } from '../failure.ts'
import { printJson, printLine } from '../stdio.ts'

const HELP = `
Asks first when a person is at the terminal; --confirm, or a script, is taken at its word. Deleting one that has ended
changes nothing and is no failure.

Examples:
  caisson delete work
  caisson rm sbx_abc123 sbx_def456 --confirm
  caisson list --json | jq -r '.sandboxes[].id' | xargs -r caisson delete`

type Flags = ConnectionOptions & { json?: boolean; confirm?: boolean }

export function build(): Command {
  const command = new Command('delete').description('Delete sandboxes and everything in them.')
  command.argument('<sandbox...>', 'ids or names').option('-y, --confirm', 'do not ask')
  return withConnection(command)
    .addHelpText('after', HELP)
    .action(async (ids: string[], flags: Flags) => {
      if (!flags.confirm && !flags.json && !(await agreed(ids))) throw new Exit(EXIT.failed)
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

async function agreed(ids: string[]): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return true
  const asking = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test(await asking.question(`Delete ${ids.join(', ')} and everything in it? [y/N] `))
  } finally {
    asking.close()
  }
}
