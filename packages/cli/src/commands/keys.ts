import type { Client } from 'caisson'
import { Command, Option } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { UsageError } from '../failure.ts'
import { CLIENTS, exportLines, type ForeignClient, noListener, variablesFor } from '../key-exports.ts'
import { note, printJson, printLine } from '../stdio.ts'
import { ago, table } from '../table.ts'

const HELP = `
Keys are for requests over TCP. Scopes: read looks; exec also creates, runs, writes and deletes; admin also manages keys
and the server. Clients of E2B and Moru find the server by variables that --export prints.

Examples:
  caisson keys create ci --scope exec
  eval "$(caisson keys create agent --export e2b)"
  CAISSON_URL=http://host:7330 CAISSON_API_KEY=csk_… caisson list
  caisson keys list
  caisson keys delete key_abc123`

const SCOPES = ['read', 'exec', 'admin'] as const
type Scope = (typeof SCOPES)[number]
/** What their sandboxes are made of when they say nothing. */
const THEIRS = 'e2b-base:latest'
type Flags = ConnectionOptions & { json?: boolean }

export function build(): Command {
  const command = new Command('keys').description('Manage API keys.')
  const create = new Command('create').alias('new').description('make a key; it is shown once')
  create
    .argument('<name>', 'what it is for')
    .option('--scope <scopes>', 'read, exec or admin, comma-separated (repeatable)', gatherScopes)
    .option('--ttl <duration>', 'until it expires (default: never)')
    .addOption(
      new Option(
        '--format <format>',
        'e2b: as older clients of E2B insist on (default: caisson, with --export e2b: e2b)',
      ).choices(['caisson', 'e2b']),
    )
    .addOption(
      new Option('--export <client>', 'print nothing but shell variables for a client').choices(CLIENTS),
    )
  withConnection(create).action(createKey)
  const list = new Command('list').alias('ls').description('list keys, without their secrets')
  withConnection(list).action(listKeys)
  const remove = new Command('delete').aliases(['rm', 'remove']).description('revoke a key')
  withConnection(remove.argument('<key>', 'id')).action(async (key: string, flags: Flags) => {
    await connect(flags).call('deleteKey', { key })
    await (flags.json ? printJson({ deleted: key }) : printLine(`deleted ${key}`))
  })
  return command.addCommand(create).addCommand(list).addCommand(remove).addHelpText('after', HELP)
}

type CreateFlags = Flags & {
  scope?: Scope[]
  ttl?: string
  format?: 'caisson' | 'e2b'
  export?: ForeignClient
}

async function createKey(name: string, flags: CreateFlags): Promise<void> {
  const { scope: scopes = ['exec'], ttl, export: client } = flags
  const format = flags.format ?? (client === 'e2b' ? 'e2b' : undefined)
  const asked = { name, scopes, ...(ttl !== undefined && { ttl }), ...(format && { format }) }
  const server = connect(flags)
  const info = client && (await server.call('getServer'))
  // Before there is a key that nobody has use for.
  if (info?.url === null) throw noListener()
  const key = await server.call('createKey', asked)
  if (client && info) {
    await printExports(variablesFor(client, key.key, info), flags)
    return noteUnbuilt(server)
  }
  if (flags.json) return printJson(key)
  note(`key ${key.id} with ${key.scopes.join(', ')}; it is not shown again`)
  await printLine(key.key)
}

/** These clients wait a minute for a sandbox. */
async function noteUnbuilt(server: Client): Promise<void> {
  const { built } = await server.call('getRuntime', { runtime: THEIRS })
  if (!built)
    note(
      `their first sandbox waits until its image is built, longer than they do: run "caisson runtime build ${THEIRS}" before`,
    )
}

const printExports = (variables: Record<string, string>, { json }: Flags): Promise<void> =>
  json ? printJson(variables) : printLine(exportLines(variables))

async function listKeys(flags: Flags): Promise<void> {
  const answer = await connect(flags).call('listKeys')
  if (flags.json) return printJson(answer)
  const rows = answer.keys.map(({ id, name, scopes, createdAt, expiresAt }) => [
    id,
    name,
    scopes.join(','),
    ago(createdAt),
    expiresAt ?? 'never',
  ])
  await printLine(table(['ID', 'NAME', 'SCOPES', 'AGE', 'EXPIRES'], rows))
}

function gatherScopes(text: string, before: Scope[] = []): Scope[] {
  const scopes = text.split(',').map((word) => {
    const scope = SCOPES.find((known) => known === word.trim())
    if (!scope) throw new UsageError(`"${word}" is no scope; there are ${SCOPES.join(', ')}.`)
    return scope
  })
  return [...before, ...scopes]
}
