import { Command, Option } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { DEPTHS } from '../pause-options.ts'
import { pauseText } from '../pause-text.ts'
import { withProgress } from '../progress.ts'
import { printJson, printLine } from '../stdio.ts'

const HELP = `
A command, a file, SSH, or "caisson resume" resumes it; a request to an exposed port does where it was created with
--resume-on-request. While it is paused its time to live stands still.

Depths:
  memory      processes go on where they were
  filesystem  processes end; all files stay
  workspace   processes end; only /home/agent/workspace stays, the rest is as it was made

Examples:
  caisson pause work
  caisson pause work --depth filesystem
  caisson hibernate work --depth workspace --json`

type Flags = CommonFlags & { depth?: (typeof DEPTHS)[number] }

export function build(): Command {
  const command = new Command('pause').description('Pause a sandbox, and give back what it holds.')
  command
    .argument('<sandbox>', 'id or name')
    .addOption(
      new Option('--depth <depth>', 'what is kept (default: what it was created with)').choices(DEPTHS),
    )
  return withConnection(command)
    .addHelpText('after', HELP)
    .action(async (id: string, flags: Flags) => {
      const { depth } = flags
      const work = connect(flags).call('pauseSandbox', { id, ...(depth !== undefined && { depth }) })
      const sandbox = await withProgress('pausing the sandbox', work)
      await (flags.json
        ? printJson(sandbox)
        : printLine(`${sandbox.id} ${sandbox.status} (${pauseText(sandbox)})`))
    })
}
