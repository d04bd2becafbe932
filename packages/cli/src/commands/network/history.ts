import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, type Destination, type NetworkLogEntry, SandboxError } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../../connection.ts'
import { UsageError } from '../../failure.ts'
import { wholeNumber } from '../../options.ts'
import { note, printJson, printLine } from '../../stdio.ts'
import { ago, bytes, printable, table } from '../../table.ts'

/** Entries of one request, which is the most that a server gives. */
const PAGE = 100
/** Entries that --follow begins with. */
const TAIL = 10
const POLL_MS = 1000
const ENDED = new Set(['terminated', 'failed'])

const LOG_HELP = `
One entry a line: time, how often, protocol, destination, which program where it is known, and why. With --follow it begins with the last entries and ends
with the sandbox; with --json there is then one JSON object a line.

Examples:
  caisson network log work
  caisson network log work --reverse --limit 5
  caisson network log work -f --json | jq -r .message`

/** `log` and `destinations`. */
export function history(): Command[] {
  return [logCommand(), destinationsCommand()]
}

type PageFlags = CommonFlags & { limit?: number; offset?: number }
type LogFlags = PageFlags & { reverse?: boolean; follow?: boolean }

function withPage(command: Command): Command {
  return command
    .argument('<sandbox>', 'id or name')
    .option('--limit <n>', 'at most so many, up to 100 (default: 50)', wholeNumber)
    .option('--offset <n>', 'leave out the first', wholeNumber)
}

function logCommand(): Command {
  const log = withPage(
    new Command('log').alias('logs').description('what was refused, and why, oldest first'),
  )
  log
    .option('--reverse', 'newest first')
    .option('-f, --follow', 'go on until the sandbox ends')
    .addHelpText('after', LOG_HELP)
  return withConnection(log).action(async (id: string, flags: LogFlags) => {
    const { limit, offset, reverse, follow } = flags
    const client = connect(flags)
    if (follow) return followLog(client, id, flags)
    const page = await client.call('readNetworkLog', { id, limit, offset, reverse })
    if (flags.json) return printJson(page)
    if (page.entries.length === 0) return note('nothing was refused')
    for (const entry of page.entries) await printLine(logLine(entry))
    tellMore(page.total, (offset ?? 0) + page.entries.length)
  })
}

async function followLog(client: Client, id: string, flags: LogFlags): Promise<void> {
  const { limit = TAIL, offset, reverse, json } = flags
  if (reverse || offset !== undefined)
    throw new UsageError('--follow goes on at the end; it takes neither --reverse nor --offset.')
  const { total } = await client.call('readNetworkLog', { id, limit: 1 })
  let next = Math.max(0, total - limit)
  for (;;) {
    // Asked before the entries, so that the last of a sandbox that ends meanwhile are read.
    const ended = await hasEnded(client, id)
    for (;;) {
      const { entries } = await client.call('readNetworkLog', { id, limit: PAGE, offset: next })
      for (const entry of entries) await printLine(json ? JSON.stringify(entry) : logLine(entry))
      next += entries.length
      if (entries.length < PAGE) break
    }
    if (ended) return
    await sleep(POLL_MS)
  }
}

async function hasEnded(client: Client, id: string): Promise<boolean> {
  try {
    return ENDED.has((await client.call('getSandbox', { id })).status)
  } catch (error) {
    if (SandboxError.is(error, 'sandbox_not_found')) return true
    throw error
  }
}

function logLine(entry: NetworkLogEntry): string {
  const { at, count, protocol, name, address, port, process, message } = entry
  const what = [
    ...(count > 1 ? [`${count}×`] : []),
    protocol,
    placeOf(name ?? address, port),
    ...(process === null ? [] : [`by ${process}`]),
  ]
  return printable([at, what.filter(Boolean).join(' '), message].join('  '))
}

/** A destination as it is written: an IPv6 address in brackets before a port. */
function placeOf(host: string | null, port: number | null): string {
  const written = host?.includes(':') && port !== null ? `[${host}]` : (host ?? '')
  return port === null ? written : `${written}:${port}`
}

function destinationsCommand(): Command {
  const destinations = withPage(
    new Command('destinations')
      .aliases(['destination', 'dest'])
      .description('what it has connected to, most recent first'),
  ).addHelpText(
    'after',
    '\nExamples:\n  caisson network destinations work\n  caisson network destinations work --json | jq -r .destinations[].name',
  )
  return withConnection(destinations).action(async (id: string, flags: PageFlags) => {
    const { limit, offset } = flags
    const page = await connect(flags).call('listDestinations', { id, limit, offset })
    if (flags.json) return printJson(page)
    if (page.destinations.length === 0) return note('it has connected to nothing')
    await printLine(
      table(['NAME', 'ADDRESS', 'PROTOCOL', 'TIMES', 'SENT', 'RECEIVED', 'LAST'], page.destinations.map(row)),
    )
    tellMore(page.total, (offset ?? 0) + page.destinations.length)
  })
}

const row = (each: Destination): string[] => [
  each.name ?? '-',
  placeOf(each.address, each.port),
  each.protocol,
  String(each.connections),
  amount(each.uploadedBytes),
  amount(each.downloadedBytes),
  ago(each.lastAt),
]

const amount = (count: number | null): string => (count === null ? '-' : bytes(count))

function tellMore(total: number, seen: number): void {
  if (total > seen) note(`${total} in all; --offset ${seen} shows more`)
}
