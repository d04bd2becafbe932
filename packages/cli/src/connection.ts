import { Client } from 'caisson'
import type { Command } from 'commander'
import { note } from './stdio.ts'

export interface ConnectionOptions {
  url?: string
  dataDir?: string
}

/** What every verb that speaks to a server may be told. */
export type CommonFlags = ConnectionOptions & { json?: boolean }

/** The options of every verb that speaks to a server. */
export function withConnection(command: Command): Command {
  return command
    .option('--json', 'print one JSON document; errors are JSON on stderr')
    .option(
      '--url <url>',
      'server to use (or CAISSON_URL; its key is CAISSON_API_KEY); default: the local one',
    )
    .option('--data-dir <dir>', 'data directory of the local server (or CAISSON_DATA_DIR)')
}

/** A client that starts the local server when it does not run, and says so once. */
export function connect(options: ConnectionOptions): Client {
  return new Client({ ...options, start: announceStart })
}

/** A client for verbs that ask about the server itself, and so must not start one. */
export const connectOnly = (options: ConnectionOptions): Client => new Client({ ...options, start: false })

async function announceStart(dataDir: string): Promise<void> {
  const { startInBackground } = await import('./server-process.ts')
  const { withProgress } = await import('./progress.ts')
  const { started, log } = await withProgress('starting the local server', startInBackground(dataDir))
  if (started) note(`started the local server (log: ${log}); "caisson server stop" ends it`)
}
