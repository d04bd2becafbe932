import { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { UsageError } from '../failure.ts'
import { gather } from '../options.ts'
import { findSsh, runOrShow, type SshFlags, userOf, withSshOptions } from '../ssh-target.ts'

const HELP = `
Runs this machine's ssh with the server's address and key; nothing is asked about the key, because the server's API has
told it. "caisson ssh-keys add" adds your own. The exit code is ssh's: the command's, or 255.

Examples:
  caisson ssh work                                 a shell
  caisson ssh work -- uname -a                     one command, by the user's shell
  caisson ssh work -L 8080:localhost:3000          port 8080 here is port 3000 in the sandbox
  caisson ssh work -o LogLevel=debug -N            options of ssh itself
  caisson ssh work --show                          the line to copy`

type Flags = ConnectionOptions & SshFlags & { forward?: string[]; option?: string[]; forwardOnly?: boolean }

export function build(tail: string[] | undefined): Command {
  const command = define().addHelpText('after', HELP)
  return command.action(async (sandbox: string, words: string[], flags: Flags) => {
    const { line, all } = optionsAfterSandbox(command, words, flags)
    const { forward = [], option = [], forwardOnly } = all
    if (all.json && !all.show) throw new UsageError('--json describes the command line; use it with --show.')
    const user = userOf(sandbox)
    const target = await findSsh(connect(all), all)
    const { host, port, knownHosts } = target
    const args = [
      '-p',
      String(port),
      ...target.options,
      ...forward.flatMap((each) => ['-L', each]),
      ...option.flatMap((each) => ['-o', each]),
      ...(forwardOnly ? ['-N'] : []),
      '-l',
      user,
      host,
      ...line,
      ...(tail ?? []),
    ]
    await runOrShow('ssh', args, all, { user, host, port, knownHosts })
  })
}

function define(): Command {
  return withOptions(new Command('ssh').argument('<sandbox>', 'id or name')).description(
    'Open a shell in a sandbox, or run a command, by SSH.',
  )
}

function withOptions(command: Command): Command {
  command
    .argument('[command...]', 'what to run instead of a shell; ssh joins the words with spaces')
    .option(
      '-L, --forward <[address:]port:localhost:port>',
      'forward a port of this machine (repeatable)',
      gather,
    )
    .option('-o, --option <name=value>', 'option of ssh itself (repeatable)', gather)
    .option('-N, --forward-only', 'run nothing in the sandbox')
  return withConnection(withSshOptions(command)).passThroughOptions()
}

/** Our options may stand before or right after the sandbox; from the command's first word on, all is the command's. */
function optionsAfterSandbox(
  command: Command,
  words: string[],
  flags: Flags,
): { line: string[]; all: Flags } {
  if (!words[0]?.startsWith('-')) return { line: words, all: flags }
  const again = withOptions(new Command('ssh')).copyInheritedSettings(command)
  again.parse(words, { from: 'user' })
  return { line: again.args, all: { ...flags, ...again.opts<Flags>() } }
}
