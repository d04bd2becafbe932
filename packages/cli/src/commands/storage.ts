import type { DiskUsage } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { printJson, printLine } from '../stdio.ts'
import { bytes, facts, table } from '../table.ts'

const HELP = `
"caisson gc" removes what nothing needs any more.

Examples:
  caisson storage
  caisson df --json | jq .pool`

export function build(): Command {
  const command = new Command('storage').description('What takes how much disk.')
  return withConnection(command)
    .addHelpText('after', HELP)
    .action(async (flags: CommonFlags) => {
      const usage = await connect(flags).storage.usage()
      await (flags.json ? printJson(usage) : printLine(describe(usage)))
    })
}

function describe({ storage, pool, sandboxes, saved, volumes, images }: DiskUsage): string {
  const unused = images.filter(({ inUse }) => !inUse).length
  const summary = facts([
    ['storage', storage],
    ['pool', poolText(pool)],
    ['disk limits', pool && (pool.quotas ? 'enforced' : 'not enforced')],
    ['sandboxes', `${sandboxes.length}, ${bytes(sandboxes.reduce((sum, each) => sum + each.bytes, 0))}`],
    ['saved', `${saved.count}, ${bytes(saved.bytes)}`],
    ['volumes', `${volumes.count}, ${bytes(volumes.bytes)}`],
    ['images', `${images.length}${unused > 0 ? `, ${unused} of them not in use` : ''}`],
  ])
  if (sandboxes.length === 0) return summary
  const largest = [...sandboxes].sort((a, b) => b.bytes - a.bytes)
  const rows = largest.map(({ id, bytes: size }) => [id, bytes(size)])
  return `${summary}\n\n${table(['SANDBOX', 'BYTES'], rows)}`
}

function poolText(pool: DiskUsage['pool']): string | null {
  if (!pool) return null
  const { kind, usedBytes, sizeBytes, maxBytes } = pool
  const grows = maxBytes > sizeBytes ? `, may grow to ${bytes(maxBytes)}` : ''
  return `${bytes(usedBytes)} of ${bytes(sizeBytes)} in a ${kind === 'file' ? 'file' : 'file system'}${grows}`
}
