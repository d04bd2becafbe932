import type { Client } from 'caisson'
import type { Command } from 'commander'
import { UsageError } from './failure.ts'
import { wholeNumber } from './options.ts'
import { printJson, toStdout } from './stdio.ts'

/** Output that `--json` takes into its document, in bytes; it says when there was more. */
const JSON_LIMIT = 64 * 1024 * 1024

export interface LogFlags {
  stdout?: boolean
  stderr?: boolean
  follow?: boolean
  timestamps?: boolean
  grep?: string
  tail?: number
  offset?: number
  json?: boolean
}

/** Options of every verb that prints kept output as text. */
export function withLogOptions(command: Command): Command {
  return command
    .option('--stdout', 'stdout only')
    .option('--stderr', 'stderr only')
    .option('-f, --follow', 'go on until it ends')
    .option('--timestamps', 'begin each line with the time at which it came')
    .option('--grep <expression>', 'lines that match this RE2 expression')
    .option('-n, --tail <lines>', 'the last lines only', wholeNumber)
    .option('--offset <bytes>', 'begin at this byte of stdout and stderr together', wholeNumber)
}

/** Prints the kept output of an execution, and with `follow` what comes. */
export async function printLogs(client: Client, execution: string, flags: LogFlags): Promise<void> {
  const { stdout, stderr, follow = false, timestamps = false, grep, tail, offset } = flags
  if (stdout && stderr) throw new UsageError('Give --stdout or --stderr; without either both are printed.')
  const stream = stdout ? 'stdout' : stderr ? 'stderr' : 'all'
  const query = { execution, stream, follow, timestamps, grep, tail, offset } as const
  const { body } = await client.open('readLogs', query)
  if (!flags.json) return void (await toStdout(body))
  const { bytes, truncated } = await gather(body)
  const output = bytes.toString('utf8')
  const exact = Buffer.from(output).equals(bytes)
  await printJson({
    execution,
    stream,
    output,
    ...(!exact && { outputBase64: bytes.toString('base64') }),
    truncated,
  })
}

async function gather(body: AsyncIterable<Uint8Array>): Promise<{ bytes: Buffer; truncated: boolean }> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of body) {
    parts.push(part)
    size += part.length
    if (size > JSON_LIMIT) break
  }
  return { bytes: Buffer.concat(parts).subarray(0, JSON_LIMIT), truncated: size > JSON_LIMIT }
}
