import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { UsageError } from '../failure.ts'
import { gather } from '../options.ts'
import { printJson, printLine } from '../stdio.ts'
import { shown } from '../table.ts'

const HELP = `
Without changes it lists them. Commands that start later see the change; those that run do not. A change is made as a
whole or not at all.

Examples:
  caisson env work
  caisson env work MODE=production LEVEL=3
  caisson env work -d LEVEL --delete MODE
  caisson env work --json | jq -r .env.MODE`

type Flags = CommonFlags & { delete?: string[] }

export function build(): Command {
  const command = new Command('env').description('Variables that commands get from their sandbox.')
  command
    .argument('<sandbox>', 'id or name')
    .argument('[KEY=VALUE...]', 'variables to set')
    .option('-d, --delete <key>', 'variable to delete (repeatable)', gather)
  return withConnection(command)
    .addHelpText('after', HELP)
    .action(async (id: string, pairs: string[], flags: Flags) => {
      const change = changeOf(pairs, flags.delete ?? [])
      const client = connect(flags)
      const { env } =
        Object.keys(change).length === 0
          ? await client.call('getEnvironment', { id })
          : await client.call('updateEnvironment', { id, env: change })
      if (flags.json) return printJson({ env })
      for (const [key, value] of Object.entries(env)) await printLine(`${key}=${shown(value)}`)
    })
}

function changeOf(pairs: readonly string[], removed: readonly string[]): Record<string, string | null> {
  const change: Record<string, string | null> = {}
  for (const pair of pairs) {
    const cut = pair.indexOf('=')
    if (cut < 1) throw new UsageError(`"${pair}" is no KEY=VALUE.`)
    change[pair.slice(0, cut)] = pair.slice(cut + 1)
  }
  for (const key of removed) {
    if (change[key] !== undefined) throw new UsageError(`${key} is to be set and deleted. Choose one.`)
    change[key] = null
  }
  return change
}
