import { createReadStream } from 'node:fs'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../../connection.ts'
import { replaceFile, statOf, told } from '../../copy/local-file.ts'
import { LocalFailure, UsageError } from '../../failure.ts'
import { Meter } from '../../meter.ts'
import { note, printJson, printLine, toStdout } from '../../stdio.ts'
import { stoppable } from '../../stop.ts'
import { bytes, shown } from '../../table.ts'
import { title } from './records.ts'

const EXPORT_HELP = `
The file is a tar with a manifest and digests, compressed with zstd. An export that breaks off leaves no file.

Examples:
  caisson snapshot export python-ml python-ml.tar.zst
  caisson snapshot export python-ml:v2 - | ssh host caisson snapshot import -`

const IMPORT_HELP = `
Name and tag are the file's own unless they are given. A file that was changed or cut is refused.

Examples:
  caisson snapshot import python-ml.tar.zst
  caisson snapshot import python-ml.tar.zst --name ml --tag v2`

/** `export` and `import`. */
export const snapshotArchives = (): Command[] => [exportCommand(), importCommand()]

type Flags = CommonFlags & { quiet?: boolean; name?: string; tag?: string }

function exportCommand(): Command {
  const command = new Command('export').description('download a snapshot as a file')
  command
    .argument('<snapshot>', 'id, name:tag, name or tag')
    .argument('<output>', 'file to write, or - for stdout')
    .option('--quiet', 'no progress and no report')
  return withConnection(command.addHelpText('after', EXPORT_HELP)).action(exportSnapshot)
}

async function exportSnapshot(reference: string, output: string, flags: Flags): Promise<void> {
  if (flags.json && output === '-') throw new UsageError('stdout cannot take the file and --json as well.')
  const { snapshots } = connect(flags)
  const written = await stoppable('The export', undefined, async (signal) => {
    using meter = new Meter(reference, undefined, flags)
    const counted = meter.through(snapshots.export(reference, { signal }))
    return output === '-' ? toStdout(counted) : replaceFile(output, 0o666 & ~process.umask(), counted)
  })
  if (flags.json) return printJson({ output, snapshot: reference, bytes: written })
  if (!flags.quiet && output !== '-') await printLine(`${shown(output)}: ${bytes(written)}`)
}

function importCommand(): Command {
  const command = new Command('import').description('make a snapshot of an exported file; prints the id')
  command
    .argument('<file>', 'file to send, or - for stdin')
    .option('--name <name>', "instead of the file's own")
    .option('--tag <tag>', "instead of the file's own")
    .option('--quiet', 'no progress and no report')
  return withConnection(command.addHelpText('after', IMPORT_HELP)).action(importSnapshot)
}

async function importSnapshot(file: string, flags: Flags): Promise<void> {
  const { name, tag } = flags
  const { snapshots } = connect(flags)
  const snapshot = await sendFile('The import', file, flags, (source, signal) =>
    snapshots.import(source, { name, tag, signal }),
  )
  if (flags.json) return printJson(snapshot)
  await printLine(snapshot.id)
  if (!flags.quiet) note(`imported as ${title(snapshot)}`)
}

/** Sends a file of this machine, or stdin, with a meter; Ctrl-C ends it. */
export async function sendFile<T>(
  what: string,
  file: string,
  flags: { quiet?: boolean; json?: boolean },
  send: (source: AsyncIterable<Uint8Array>, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stat = file === '-' ? undefined : await statOf(file)
  if (file !== '-' && !stat) throw new LocalFailure(`"${file}" does not exist on this machine.`)
  return stoppable(what, undefined, async (signal) => {
    using meter = new Meter(file, stat?.isFile() ? stat.size : undefined, flags)
    const source = file === '-' ? process.stdin : createReadStream(file)
    return await send(meter.through(told(source, file)), signal)
  })
}
