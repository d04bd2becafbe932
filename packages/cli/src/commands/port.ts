import { type PortLink, Ports } from 'caisson'
import { Command, InvalidArgumentError } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { UsageError } from '../failure.ts'
import { portNumber } from '../network-options.ts'
import { wholeNumber } from '../options.ts'
import { addressOf, NO_LISTENER, type OpenPort, openPorts } from '../ports.ts'
import { note, printJson, printLine } from '../stdio.ts'
import { printable, table } from '../table.ts'

const HELP = `
An exposed port is reached by HTTP and WebSocket through the server, also when the sandbox has no network and when the
program listens on its loopback alone. A private one, the default, asks for a token; a link brings it along.

Examples:
  caisson port add work 3000                prints a link that opens it
  caisson port add work 3000 --public       prints its address; a port that is exposed already is changed
  caisson port link work 3000 --ttl 1h
  caisson port list work
  caisson port rm work 3000`

export function build(): Command {
  const command = new Command('port').description('Ports of a sandbox that are reached from outside.')
  for (const sub of [listCommand(), addCommand(), removeCommand(), linkCommand()]) command.addCommand(sub)
  return command.addHelpText('after', HELP)
}

function listCommand(): Command {
  const list = new Command('list').alias('ls').description('the exposed ports and their addresses')
  return withConnection(list.argument('<sandbox>', 'id or name')).action(
    async (id: string, flags: CommonFlags) => {
      const { ports, allPorts } = await connect(flags).call('getSandbox', { id })
      if (flags.json) return printJson({ ports, allPorts })
      const rows = ports.map(({ port, access, url }) => [String(port), access, url ?? '-'])
      if (rows.length > 0) await printLine(table(['PORT', 'ACCESS', 'ADDRESS'], rows))
      if (allPorts !== null) note(`${rows.length > 0 ? 'all other' : 'all'} ports are ${allPorts}`)
      else if (rows.length === 0) note('no ports are exposed')
    },
  )
}

function addCommand(): Command {
  const add = new Command('add')
    .aliases(['expose', 'set'])
    .description('expose a port, or change who may reach it; prints where to open it')
  onPort(add)
    .option('--public', 'whoever has the address may reach it')
    .option('--private', 'whoever has a token may (the default)')
  return withConnection(add).action(
    async (id: string, port: number, flags: CommonFlags & { public?: boolean; private?: boolean }) => {
      if (flags.public && flags.private) throw new UsageError('--public and --private contradict each other.')
      const client = connect(flags)
      const exposed = await new Ports(client, id).expose(port, {
        access: flags.public ? 'public' : 'private',
      })
      const [open] = await openPorts(client, id, [exposed])
      await print(open!, flags)
    },
  )
}

function removeCommand(): Command {
  const remove = new Command('rm').description('expose a port no longer; open connections to it are cut')
  remove.aliases(['remove', 'delete', 'del', 'unexpose'])
  return withConnection(onPort(remove)).action(async (id: string, port: number, flags: CommonFlags) => {
    const client = connect(flags)
    await new Ports(client, id).unexpose(port)
    if (flags.json) return printJson({ removed: port })
    await printLine(`removed ${port}`)
    const { allPorts } = await client.call('getSandbox', { id })
    if (allPorts !== null) note(`it is ${allPorts} now, as all ports of this sandbox that are not listed`)
  })
}

function linkCommand(): Command {
  const link = new Command('link').description('make a link that opens a private port for some time')
  link
    .argument('<sandbox>', 'id or name')
    .argument('<port>', 'one that is exposed', anyPort)
    .option('--ttl <duration>', 'how long it is good, at most 30d (default: 24h)')
  return withConnection(link).action(
    async (id: string, port: number, flags: CommonFlags & { ttl?: string }) => {
      const made = await new Ports(connect(flags), id).link(port, { ttl: flags.ttl })
      if (flags.json) return printJson(made)
      if (made.url === null) note(NO_LISTENER)
      else await printLine(printable(made.url))
      tellToken(made)
    },
  )
}

const onPort = (command: Command): Command =>
  command.argument('<sandbox>', 'id or name').argument('<port>', 'from 1024 to 65535', portNumber)

/** Where all ports are exposed, those below 1024 are as well. */
function anyPort(text: string): number {
  const port = wholeNumber(text)
  if (port < 1 || port > 65_535) throw new InvalidArgumentError('Write a port from 1 to 65535.')
  return port
}

async function print(open: OpenPort, flags: CommonFlags): Promise<void> {
  if (flags.json) return printJson(open)
  const address = addressOf(open)
  if (address === null) note(NO_LISTENER)
  else await printLine(printable(address))
  if (open.link) tellToken(open.link)
}

/** Where there is an address, the token stands in it. */
function tellToken({ url, token, expiresAt }: PortLink): void {
  const value = url === null ? printable(token) : 'what follows "caisson_token="'
  note(`good until ${expiresAt}; programs send the header caisson-port-token: ${value}`)
}
