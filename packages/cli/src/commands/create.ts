import { Sandbox } from 'caisson'
import { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { type SandboxFlags, sandboxOf, withSandboxOptions } from '../options.ts'
import { withProgress } from '../progress.ts'
import { printJson, printLine } from '../stdio.ts'

const HELP = `
Prints the id. It is deleted after ten minutes with nothing running, unless --idle-timeout says otherwise.

Examples:
  caisson create
  caisson create --name work --memory 1Gi --cpu 1000m --idle-timeout 1h
  caisson create --metadata '{"team":"a"}' --env DEBUG=1
  id=$(caisson create) && caisson exec "$id" -- uname -a`

export function build(): Command {
  const command = new Command('create').description('Create a sandbox that stays.')
  withConnection(withSandboxOptions(command))
  return command
    .addHelpText('after', HELP)
    .action(async (flags: SandboxFlags & ConnectionOptions & { json?: boolean }) => {
      const options = { ...sandboxOf(flags), client: connect(flags) }
      const { info } = await withProgress('creating the sandbox', Sandbox.create(options))
      await (flags.json ? printJson(info) : printLine(info.id))
    })
}
