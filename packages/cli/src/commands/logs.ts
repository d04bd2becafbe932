import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { type LogFlags, printLogs, withLogOptions } from '../logs.ts'

const HELP = `
Both streams go to stdout, in the order in which they came. The output stays readable after the execution has ended.

Examples:
  caisson logs exe_abc123
  caisson logs job_abc123 -f --timestamps
  caisson logs job_abc123 --stderr --grep 'error|warn' --tail 20`

export function build(): Command {
  const command = new Command('logs').description('Print the output of an execution or a job as text.')
  withLogOptions(command.argument('<execution>', 'id'))
  return withConnection(command)
    .addHelpText('after', HELP)
    .action((execution: string, flags: CommonFlags & LogFlags) => printLogs(connect(flags), execution, flags))
}
