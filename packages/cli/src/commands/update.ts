import { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { UsageError } from '../failure.ts'
import { defined, gatherMetadata } from '../options.ts'
import { printJson, printLine } from '../stdio.ts'
import { describe } from './get.ts'

const HELP = `
Examples:
  caisson extend work --ttl 1h              one hour from now
  caisson update work --idle-timeout 0      never deleted for being idle
  caisson update work --description 'nightly build' --metadata team=a`

interface Flags extends ConnectionOptions {
  json?: boolean
  ttl?: string
  idleTimeout?: string
  description?: string
  metadata?: Record<string, string>
}

export function build(): Command {
  const command = new Command('update').description('Change a sandbox, or the time that it has left.')
  command
    .argument('<sandbox>', 'id or name')
    .option('--ttl <duration>', 'delete so long from now; 0: without end')
    .option('--idle-timeout <duration>', 'delete after so long with nothing running; 0: never')
    .option('--description <text>', 'description')
    .option(
      '--metadata <json-or-key=value>',
      'your own data, in place of what was there (repeatable)',
      gatherMetadata,
    )
  return withConnection(command)
    .addHelpText('after', HELP)
    .action(async (id: string, flags: Flags) => {
      const { ttl, idleTimeout, description, metadata } = flags
      const change = defined({ ttl, idleTimeout, description, metadata })
      if (Object.keys(change).length === 0)
        throw new UsageError(
          'What is to be changed? Give --ttl, --idle-timeout, --description or --metadata.',
        )
      const sandbox = await connect(flags).call('updateSandbox', { id, ...change })
      await (flags.json ? printJson(sandbox) : printLine(describe(sandbox)))
    })
}
