import { Sandbox } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { type PauseFlags, pausesOf, withPauseOptions } from '../pause-options.ts'
import { openPorts, tellPorts } from '../ports.ts'
import { withProgress } from '../progress.ts'
import { type SandboxFlags, sandboxOf, withSandboxOptions } from '../sandbox-options.ts'
import { printJson, printLine } from '../stdio.ts'

const HELP = `
Prints the id. It is deleted after ten minutes with nothing running, unless --idle-timeout says otherwise. The addresses
of exposed ports are told on stderr; for a private one it is a link that opens it, in JSON the "link" of the port.

Examples:
  caisson create
  caisson create --name work --memory 1Gi --cpu 1000m --idle-timeout 1h
  caisson create --metadata '{"team":"a"}' --env DEBUG=1
  caisson create --allow pypi.org --allow '*.pythonhosted.org'
  caisson create --network --deny example.com --upload-rate 1Mi
  caisson create --port 3000 --public-port 8080
  caisson create --idle-timeout 10m --on-timeout pause --paused-timeout 7d
  caisson create --snapshot python-ml:v2
  caisson create --template web --all-ports private
  caisson create --volume datasets:/data --volume models:/models:ro
  caisson create --dependency ffmpeg --package typescript@5
  id=$(caisson create) && caisson exec "$id" -- uname -a`

export function build(): Command {
  const command = new Command('create').description('Create a sandbox that stays.')
  withConnection(withPauseOptions(withSandboxOptions(command)))
  return command.addHelpText('after', HELP).action(async (flags: SandboxFlags & PauseFlags & CommonFlags) => {
    const asked = { ...sandboxOf(flags), ...pausesOf(flags) }
    const client = connect(flags)
    const { info } = await withProgress('creating the sandbox', Sandbox.create({ ...asked, client }))
    if (!flags.json) await printLine(info.id)
    const ports = await openPorts(client, info.id, info.ports)
    if (flags.json) await printJson({ ...info, ports })
    else tellPorts(ports)
  })
}
