import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { localFailure, UsageError } from '../failure.ts'
import { printJson, printLine } from '../stdio.ts'
import { ago, printable, table } from '../table.ts'

const HELP = `
Whoever holds the private half of a key that is listed here gets into every sandbox of this server by SSH.

Examples:
  caisson ssh-keys add                          your ~/.ssh/id_ed25519.pub, or the next that there is
  caisson ssh-keys add ~/.ssh/work.pub --name work
  ssh-add -L | head -n 1 | caisson ssh-keys add -
  caisson ssh-keys list
  caisson ssh-keys rm ssk_abc123                or its fingerprint, SHA256:…`

/** In the order in which OpenSSH's own client prefers them. */
const DEFAULTS = ['id_ed25519.pub', 'id_ecdsa.pub', 'id_rsa.pub']

type Flags = ConnectionOptions & { json?: boolean }

export function build(): Command {
  const command = new Command('ssh-keys').description('Manage the keys that get in by SSH.')
  const add = new Command('add').alias('create').description('let the owner of a public key in')
  add
    .argument('[file]', 'a .pub file; - is stdin; default: yours in ~/.ssh')
    .option('--name <name>', 'what it is called (default: its comment)')
  withConnection(add).action(addKey)
  const list = new Command('list').alias('ls').description('list the keys')
  withConnection(list).action(listKeys)
  const remove = new Command('delete').aliases(['rm', 'remove', 'del']).description('remove keys')
  withConnection(remove.argument('<key...>', 'id or fingerprint')).action(removeKeys)
  return command.addCommand(add).addCommand(list).addCommand(remove).addHelpText('after', HELP)
}

async function addKey(file: string | undefined, flags: Flags & { name?: string }): Promise<void> {
  const publicKey = readKey(file ?? ownKey())
  const { name } = flags
  const key = await connect(flags).call('addSshKey', { publicKey, ...(name !== undefined && { name }) })
  if (flags.json) return printJson(key)
  await printLine(`${key.id}  ${key.fingerprint}  ${printable(key.name)}`)
}

async function listKeys(flags: Flags): Promise<void> {
  const answer = await connect(flags).call('listSshKeys')
  if (flags.json) return printJson(answer)
  const rows = answer.keys.map(({ id, name, type, fingerprint, createdAt }) => [
    id,
    name,
    type,
    fingerprint,
    ago(createdAt),
  ])
  await printLine(table(['ID', 'NAME', 'TYPE', 'FINGERPRINT', 'AGE'], rows))
}

async function removeKeys(keys: string[], flags: Flags): Promise<void> {
  const client = connect(flags)
  for (const key of keys) await client.call('deleteSshKey', { key })
  await (flags.json ? printJson({ deleted: keys }) : printLine(`deleted ${keys.join(', ')}`))
}

function ownKey(): string {
  const places = DEFAULTS.map((name) => join(homedir(), '.ssh', name))
  const found = places.find((place) => existsSync(place))
  if (found !== undefined) return found
  throw new UsageError(
    `There is no key in ~/.ssh (${DEFAULTS.join(', ')}). "ssh-keygen -t ed25519" makes one; or name a file.`,
  )
}

/** A private key never leaves this machine. */
function readKey(file: string): string {
  let text: string
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8').trim()
  } catch (error) {
    throw localFailure(error, file)
  }
  if (/PRIVATE KEY|PuTTY-User-Key-File/.test(text))
    throw new UsageError(`"${file}" is a PRIVATE key and was not sent. Give the public one, "${file}.pub".`)
  if (text === '') throw new UsageError(`"${file}" holds no key.`)
  return text
}
