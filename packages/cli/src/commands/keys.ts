import { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { UsageError } from '../failure.ts'
import { note, printJson, printLine } from '../stdio.ts'
import { ago, table } from '../table.ts'

const HELP = `
Keys are for requests over TCP. Scopes: read looks; exec also creates, runs, writes and deletes; admin also manages keys
and the server.

Examples:
  caisson keys create ci --scope exec
  CAISSON_URL=http://host:7330 CAISSON_API_KEY=csk_… caisson list
  caisson keys list
  caisson keys delete key_abc123`

const SCOPES = ['read', 'exec', 'admin'] as const
type Scope = (typeof SCOPES)[number]
type Flags = ConnectionOptions & { json?: boolean }

export function build(): Command {
  const command = new Command('keys').description('Manage API keys.')
  const create = new Command('create').alias('new').description('make a key; it is shown once')
  create
    .argument('<name>', 'what it is for')
    .option('--scope <scopes>', 'read, exec or admin, comma-separated (repeatable)', gatherScopes)
    .option('--ttl <duration>', 'until it expires (default: never)')
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

async function createKey(name: string, flags: Flags & { scope?: Scope[]; ttl?: string }): Promise<void> {
  const { scope: scopes = ['exec'], ttl } = flags
  const key = await connect(flags).call('createKey', { name, scopes, ...(ttl !== undefined && { ttl }) })
  if (flags.json) return printJson(key)
  note(`key ${key.id} with ${key.scopes.join(', ')}; it is not shown again`)
  await printLine(key.key)
}

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
