import { Sandbox, type UsageSample } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { note, printJson, printLine } from '../stdio.ts'
import { bytes, table } from '../table.ts'

const HELP = `
Sampled about every minute, and now. 100% is one CPU at work.

Examples:
  caisson metrics work
  caisson metrics work --start 2026-11-21T10:00:00Z --json | jq '.samples[].memoryBytes'`

export function build(): Command {
  const command = new Command('metrics').description('What a sandbox used in the last hours, oldest first.')
  command
    .argument('<sandbox>', 'id or name')
    .option('--start <time>', 'not before, such as 2026-11-21T10:00:00Z')
    .option('--end <time>', 'not after')
  return withConnection(command)
    .addHelpText('after', HELP)
    .action(async (id: string, flags: CommonFlags & { start?: string; end?: string }) => {
      const { start, end } = flags
      const client = connect(flags)
      const samples = await (await Sandbox.connect(id, { client })).metrics({ start, end })
      if (flags.json) return printJson({ samples })
      if (samples.length === 0) return note('no samples')
      await printLine(table(['AT', 'CPU', 'MEMORY', 'DISK', 'PROCESSES'], samples.map(row)))
    })
}

const row = (sample: UsageSample): string[] => [
  sample.at,
  `${sample.cpuPercent.toFixed(1)}%`,
  `${bytes(sample.memoryBytes)} of ${bytes(sample.memoryLimitBytes)}`,
  sample.diskBytes === null ? '-' : bytes(sample.diskBytes),
  String(sample.pids),
]
