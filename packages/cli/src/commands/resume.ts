import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { withProgress } from '../progress.ts'
import { printJson, printLine } from '../stdio.ts'

const HELP = `
Resuming one that runs changes nothing, but --ttl counts.

Examples:
  caisson resume work
  caisson wake work --ttl 2h`

export function build(): Command {
  const command = new Command('resume').description('Resume a paused sandbox.')
  command
    .argument('<sandbox>', 'id or name')
    .option('--ttl <duration>', 'delete so long from now; 0: without end (default: what was left)')
  return withConnection(command)
    .addHelpText('after', HELP)
    .action(async (id: string, flags: CommonFlags & { ttl?: string }) => {
      const { ttl } = flags
      const work = connect(flags).call('resumeSandbox', { id, ...(ttl !== undefined && { ttl }) })
      const sandbox = await withProgress('resuming the sandbox', work)
      await (flags.json ? printJson(sandbox) : printLine(`${sandbox.id} ${sandbox.status}`))
    })
}
