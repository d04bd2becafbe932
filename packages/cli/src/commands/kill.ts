import { SandboxError } from 'caisson'
import { Command, Option } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { printJson, printLine } from '../stdio.ts'

const HELP = `
Examples:
  caisson kill exe_abc123                              the whole tree, by SIGKILL
  caisson kill exe_abc123 --signal TERM --scope leader`

type Flags = ConnectionOptions & { json?: boolean; signal: string; scope: 'leader' | 'group' | 'tree' }

export function build(): Command {
  const command = new Command('kill').description('Signal an execution; one that has ended is left as it is.')
  command
    .argument('<execution>', 'id')
    .option('-s, --signal <name>', 'signal, such as TERM or SIGINT', 'SIGKILL')
    .addOption(
      new Option('--scope <scope>', 'who gets it').choices(['leader', 'group', 'tree']).default('tree'),
    )
  return withConnection(command)
    .addHelpText('after', HELP)
    .action(async (execution: string, { scope, ...flags }: Flags) => {
      const client = connect(flags)
      const signal = flags.signal.toUpperCase().replace(/^(SIG)?/, 'SIG')
      const record = await client.call('killExecution', { execution, signal, scope }).catch((error) => {
        if (!SandboxError.is(error, 'execution_ended')) throw error
        return client.call('getExecution', { execution })
      })
      await (flags.json
        ? printJson(record)
        : printLine(record.state === 'ended' ? `${execution} has ended` : `${execution} got ${signal}`))
    })
}
