import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { defined, gatherMetadata, wholeNumber } from '../options.ts'
import { withProgress } from '../progress.ts'
import { printJson, printLine } from '../stdio.ts'

const HELP = `
Prints the ids of the copies, one a line. The original goes on, and the time that it takes does not depend on its size.

Examples:
  caisson fork work
  caisson fork work --count 10 --name try          try-1 … try-10
  caisson fork work --memory                       processes are copied too, where the server can
  for id in $(caisson fork work --count 3); do caisson exec "$id" -- ./attempt; done`

interface Flags extends CommonFlags {
  count?: number
  memory?: boolean
  name?: string
  metadata?: Record<string, string>
}

export function build(): Command {
  const command = new Command('fork').description('Make copies of a sandbox.')
  command
    .argument('<sandbox>', 'id or name')
    .option('-n, --count <n>', 'how many, up to 100 (default: 1)', wholeNumber)
    .option('--memory', 'copy its processes too; without it, copies have its files alone')
    .option('--name <name>', 'name of the copy; of several, with -1, -2 … added')
    .option(
      '--metadata <json-or-key=value>',
      'your own data, instead of that of the original (repeatable)',
      gatherMetadata,
    )
  return withConnection(command)
    .addHelpText('after', HELP)
    .action(async (id: string, flags: Flags) => {
      const { count, memory, name, metadata } = flags
      const asked = { id, ...defined({ count, memory, name, metadata }) }
      const once = { idempotencyKey: crypto.randomUUID() }
      const answer = await withProgress(
        'copying the sandbox',
        connect(flags).call('forkSandbox', asked, once),
      )
      if (flags.json) return printJson(answer)
      for (const sandbox of answer.sandboxes) await printLine(sandbox.id)
    })
}
