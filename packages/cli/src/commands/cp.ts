import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { directionOf } from '../copy/endpoint.ts'
import type { CopyOptions, CopyReport } from '../copy/report.ts'
import { UsageError } from '../failure.ts'
import { milliseconds } from '../options.ts'
import { note, printJson } from '../stdio.ts'
import { stoppable } from '../stop.ts'
import { bytes, shown } from '../table.ts'

const HELP = `
A target that ends with "/" or is a directory takes the source's name; "dir/." stands for what is in it. Directories
above the target are made unless --strict. Modes are kept, and links stay links. A copy that breaks off leaves what was
there before. A local name with a colon is written ./like:this.

Examples:
  caisson cp ./config.json work:app/config/settings.json
  caisson cp work:/tmp/output.csv .
  caisson cp -r ./src work:                      as src in the home
  caisson cp -r work:/home/agent/. ./backup      what is in it
  tar c . | caisson cp - work:in.tar
  caisson cp work:report.txt - | less`

type Flags = CommonFlags & CopyOptions & { timeout?: number }

export function build(): Command {
  const command = new Command('cp').description('Copy files between this machine and a sandbox.')
  command
    .argument('<from>', '<sandbox>:<path>, a path here, or - for stdin')
    .argument('<to>', '<sandbox>:<path>, a path here, or - for stdout')
    .option('-r, --recursive', 'copy directories with all that is in them')
    .option('--strict', 'fail when a directory above the target does not exist')
    .option('--user <name>', 'user in the sandbox whose rights count (default: agent)')
    .option('--timeout <duration>', 'give up after so long', milliseconds)
    .option('--quiet', 'no progress and no report')
  return withConnection(command).addHelpText('after', HELP).action(copy)
}

async function copy(from: string, to: string, flags: Flags): Promise<void> {
  const way = directionOf(from, to)
  if (flags.json && way.local === null && !way.up)
    throw new UsageError('stdout cannot take the file and --json as well.')
  const client = connect(flags)
  const { upload } = await import('../copy/upload.ts')
  const { download } = await import('../copy/download.ts')
  const report = await stoppable('The copy', flags.timeout, (signal) =>
    way.up ? upload(client, way.local, way, flags, signal) : download(client, way, way.local, flags, signal),
  )
  if (flags.json) return printJson(report)
  if (!flags.quiet && process.stderr.isTTY) note(describe(report))
}

const describe = ({ filesTransferred, bytesTransferred, destination }: CopyReport): string =>
  `${filesTransferred === 1 ? '1 file' : `${filesTransferred} files`}, ${bytes(bytesTransferred)}, to ${shown(destination, true)}`
