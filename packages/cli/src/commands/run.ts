import { run } from 'caisson'
import { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { UsageError } from '../failure.ts'
import {
  type CommandFlags,
  type SandboxFlags,
  sandboxOf,
  withCommandOptions,
  withSandboxOptions,
} from '../options.ts'
import { runCommand } from '../run-command.ts'

const HELP = `
Exit code: the command's own; 128+n for signal n, 124 timeout, 137 out of memory, 125 when Caisson failed,
126 when the command could not be started, 127 when there is no such command, 2 for wrong usage.

Examples:
  caisson run -- echo 'Hello, World!'
  caisson run --memory 1Gi --timeout 30s -- python3 -c 'print(sum(range(100)))'
  caisson run --file /home/agent/data.csv:./data.csv -- wc -l data.csv
  cat script.py | caisson run -- python3 -
  caisson run --json -- sh -c 'exit 3' | jq .exitCode`

export function build(tail: string[] | undefined): Command {
  const command = new Command('run').description(
    'Run one command in a new sandbox and delete the sandbox when it ends. Ctrl-C ends both.',
  )
  command.argument('[command...]', 'the program and its arguments, best after --')
  withConnection(withCommandOptions(withSandboxOptions(command)))
  return command
    .passThroughOptions(tail === undefined)
    .addHelpText('after', HELP)
    .action((words: string[], flags: SandboxFlags & CommandFlags & ConnectionOptions) => {
      const argv = [...words, ...(tail ?? [])]
      if (argv.length === 0) throw new UsageError('What is to be run? Write: caisson run -- <command>')
      const client = connect(flags)
      return runCommand(flags, (options) => run(argv, { ...options, sandbox: sandboxOf(flags), client }))
    })
}
