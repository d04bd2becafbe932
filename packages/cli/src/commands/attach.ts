import { Execution } from 'caisson'
import { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { exitCodeOf } from '../failure.ts'
import { type CommandFlags, wholeNumber } from '../options.ts'
import { createPrinter } from '../output.ts'
import { printJson } from '../stdio.ts'

const HELP = `
Its exit code becomes yours. Ctrl-C stops following; the command goes on.

Examples:
  caisson attach exe_abc123                 everything from the first byte, then what comes
  caisson attach exe_abc123 --offset 1024   from byte 1024 of stdout and stderr together`

type Flags = ConnectionOptions & CommandFlags & { offset?: number }

export function build(): Command {
  const command = new Command('attach').description('Follow the output of an execution until it ends.')
  command
    .argument('<execution>', 'id')
    .option('--offset <bytes>', 'begin at this byte of the output', wholeNumber)
    .option('--quiet', 'do not print the output')
    .option('--timestamps', 'put the time before each line')
  return withConnection(command)
    .addHelpText('after', HELP)
    .action(async (id: string, flags: Flags) => {
      const client = connect(flags)
      const info = await client.call('getExecution', { execution: id })
      const execution = new Execution(client, info, null, flags.offset)
      const onOutput = createPrinter(flags)
      const result = await execution.wait(flags.json ? { onOutput } : { onOutput, maxBuffer: 0 })
      if (flags.json) await printJson(result)
      process.exitCode = exitCodeOf(result)
    })
}
