import { createReadStream } from 'node:fs'
import { type Command, Option } from 'commander'
import { replaceFile, statOf, told } from '../../copy/local-file.ts'
import { LocalFailure, UsageError } from '../../failure.ts'
import { Meter } from '../../meter.ts'
import { note, printJson, printLine, toStdout } from '../../stdio.ts'
import { stoppable } from '../../stop.ts'
import { bytes, shown } from '../../table.ts'
import { type FileFlags, filesCommand, openFiles } from './files-command.ts'

const DOWNLOAD_HELP = `
The format is that of the output's name, else tar.gz. The archive is made while it is sent; a download that breaks off
leaves no file.

Examples:
  caisson fs download work backup.tar.gz
  caisson fs download work src.zip --path /srv/src
  caisson fs dl work - --format tar | tar t`

const UPLOAD_HELP = `
The format is told by the content. Nothing of the archive gets out of the directory.

Examples:
  caisson fs upload work project.tar.gz
  caisson fs ul work site.zip --path /srv/www --user root
  tar cz . | caisson fs upload work -`

const FORMATS = ['tar.gz', 'zip', 'tar'] as const
type Format = (typeof FORMATS)[number]
type Flags = FileFlags & { path?: string; format?: Format; quiet?: boolean }

/** `download` and `upload`. */
export function archives(): Command[] {
  const format = (text: string) => new Option('--format <format>', text).choices(FORMATS)
  const download = filesCommand('download', 'Download a directory as an archive.').alias('dl')
  download
    .argument('<output>', 'file to write, or - for stdout')
    .option('--path <path>', 'directory or file in the sandbox (default: the home)')
    .addOption(format('default: by the name of the output, else tar.gz'))
    .option('--quiet', 'no progress and no report')
    .addHelpText('after', DOWNLOAD_HELP)
    .action(downloadArchive)
  const upload = filesCommand('upload', 'Upload an archive and unpack it.').alias('ul')
  upload
    .argument('<archive>', 'file to send, or - for stdin')
    .option('--path <path>', 'directory in the sandbox, made when it is missing (default: the home)')
    .addOption(format('default: told by the content'))
    .option('--quiet', 'no progress and no report')
    .addHelpText('after', UPLOAD_HELP)
    .action(uploadArchive)
  return [download, upload]
}

async function downloadArchive(id: string, output: string, flags: Flags): Promise<void> {
  if (flags.json && output === '-') throw new UsageError('stdout cannot take the archive and --json as well.')
  const { files, user } = openFiles(id, flags)
  const path = flags.path ?? '.'
  const format = flags.format ?? formatOf(output)
  const { written, skipped } = await stoppable('The download', undefined, async (signal) => {
    const archive = await files.download(path, { ...user, format, signal })
    using meter = new Meter(path, undefined, flags)
    const counted = meter.through(archive)
    const written = await (output === '-'
      ? toStdout(counted)
      : replaceFile(output, 0o666 & ~process.umask(), counted))
    return { written, skipped: archive.skipped ?? 0 }
  })
  if (skipped > 0) note(`left out ${skipped} that could not be read or that no archive can hold`)
  if (flags.json) await printJson({ output, path, format, bytes: written, skipped })
  else if (!flags.quiet && output !== '-') await printLine(`${shown(output)}: ${bytes(written)}`)
}

function formatOf(output: string): Format {
  if (output.endsWith('.tgz')) return 'tar.gz'
  return FORMATS.find((format) => output.endsWith(`.${format}`)) ?? 'tar.gz'
}

async function uploadArchive(id: string, archive: string, flags: Flags): Promise<void> {
  const { files, user } = openFiles(id, flags)
  const { path, format } = flags
  const stat = archive === '-' ? undefined : await statOf(archive)
  if (archive !== '-' && !stat) throw new LocalFailure(`"${archive}" does not exist on this machine.`)
  const answer = await stoppable('The upload', undefined, async (signal) => {
    using meter = new Meter(archive, stat?.isFile() ? stat.size : undefined, flags)
    const source = archive === '-' ? process.stdin : createReadStream(archive)
    return await files.upload(meter.through(told(source, archive)), { ...user, path, format, signal })
  })
  if (flags.json) return printJson(answer)
  if (flags.quiet) return
  await printLine(
    `${answer.files} files, ${answer.directories} directories, ${answer.links} links, ${bytes(answer.bytes)}`,
  )
}
