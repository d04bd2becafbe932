import { Sandbox } from 'caisson'
import { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { startFailure, UsageError } from '../failure.ts'
import { type CommandFlags, commandOf, gatherEnv, withCommandOptions } from '../options.ts'
import { runCommand } from '../run-command.ts'
import { printJson, printLine } from '../stdio.ts'
import { attachable } from '../terminal.ts'

type Flags = CommandFlags & ConnectionOptions & { env?: Record<string, string>; detach?: boolean }

const HELP = `
Exit code: as "caisson run --help" says. A lost connection is made again and nothing of the output is lost; a command
that was started with --detach, or whose client was killed, goes on: "caisson attach <execution>" follows it.

Examples:
  caisson exec work -- npm init -y
  caisson exec work --timeout 5m -- make test
  caisson exec work                               a shell, when you are at a terminal
  caisson exec work -- sh -c 'cat > in.txt' < in.txt
  caisson exec work --detach -- ./server          prints the execution's id
  caisson exec work -d -t --tag repl -- python3   a terminal for "caisson attach -t"`

export function build(tail: string[] | undefined): Command {
  const command = new Command('exec').description('Run a command in a sandbox. Ctrl-C ends the command.')
  command
    .argument('<sandbox>', 'id or name')
    .argument('[command...]', 'the program and its arguments, best after --; default at a terminal: a shell')
    .option('--env <KEY=VALUE>', 'environment variable; KEY alone passes yours on (repeatable)', gatherEnv)
    .option('-d, --detach', 'print the id of the execution and do not wait for it')
  withConnection(withCommandOptions(command))
  return command
    .passThroughOptions(tail === undefined)
    .addHelpText('after', HELP)
    .action(async (id: string, words: string[], flags: Flags) => {
      const argv = commandLine(words, tail)
      if (flags.detach) return detach(id, argv, flags)
      await runCommand(flags, async (options) => {
        const sandbox = await Sandbox.connect(id, { client: connect(flags), signal: options.signal })
        return sandbox.exec(argv, { ...options, ...(flags.env && { env: flags.env }) })
      })
    })
}

function commandLine(words: string[], tail: string[] | undefined): string[] {
  const argv = [...words, ...(tail ?? [])]
  if (words[0]?.startsWith('-'))
    throw new UsageError(
      'Put -- between the options and the command: caisson exec <sandbox> [options] -- <command>',
    )
  if (argv.length > 0) return argv
  if (process.stdin.isTTY && process.stdout.isTTY)
    return ['/bin/sh', '-c', 'exec "$(command -v bash || command -v sh)" -l']
  throw new UsageError('What is to be run? Write: caisson exec <sandbox> -- <command>')
}

async function detach(id: string, argv: string[], flags: Flags): Promise<void> {
  try {
    const sandbox = await Sandbox.connect(id, { client: connect(flags) })
    const options = { ...commandOf(flags), ...attachable(flags), ...(flags.env && { env: flags.env }) }
    const { info } = await sandbox.start(argv, options)
    await (flags.json ? printJson(info) : printLine(info.id))
  } catch (error) {
    throw startFailure(error, flags.json === true)
  }
}
