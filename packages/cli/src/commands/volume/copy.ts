import { createReadStream } from 'node:fs'
import { posix } from 'node:path'
import { SandboxError, type VolumeFiles } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../../connection.ts'
import { type Endpoint, nameFor, parseEndpoint } from '../../copy/endpoint.ts'
import { placeLocally, replaceFile, statOf, told } from '../../copy/local-file.ts'
import type { CopyReport } from '../../copy/report.ts'
import { LocalFailure, UsageError } from '../../failure.ts'
import { Meter } from '../../meter.ts'
import { note, printJson, toStdout } from '../../stdio.ts'
import { stoppable } from '../../stop.ts'
import { bytes, shown } from '../../table.ts'

const HELP = `
A target that ends with "/" or is a directory takes the source's name. Modes are kept. For whole directories mount the
volume, and copy them with "caisson cp -r".

Examples:
  caisson volume cp words.txt datasets:/in/
  caisson volume cp datasets:/in/words.txt .
  curl -s https://example.org/big | caisson volume cp - datasets:/big`

type Flags = CommonFlags & { quiet?: boolean }
type Place = Extract<Endpoint, { kind: 'sandbox' }>

/** `cp`. */
export function volumeCopy(): Command {
  const command = new Command('cp').description('copy a file between this machine and a volume')
  command
    .argument('<from>', '<volume>:<path>, a path here, or - for stdin')
    .argument('<to>', '<volume>:<path>, a path here, or - for stdout')
    .option('--quiet', 'no progress and no report')
  return withConnection(command).addHelpText('after', HELP).action(copy)
}

async function copy(from: string, to: string, flags: Flags): Promise<void> {
  const [source, target] = [parseEndpoint(from), parseEndpoint(to)]
  const volume = source.kind === 'sandbox' ? source : target
  const here = source.kind === 'sandbox' ? target : source
  if (volume.kind !== 'sandbox') throw new UsageError('One side must be in a volume: write <volume>:<path>.')
  if (here.kind === 'sandbox')
    throw new UsageError('Both sides are in volumes. Mount both in a sandbox, and copy there.')
  const local = here.kind === 'local' ? here.path : null
  const up = volume === target
  if (flags.json && local === null && !up)
    throw new UsageError('stdout cannot take the file and --json as well.')
  const files = connect(flags).volumes.files(volume.id)
  const report = await stoppable('The copy', undefined, (signal) =>
    up ? send(files, local, volume, flags, signal) : fetch(files, volume, local, flags, signal),
  )
  if (flags.json) return printJson(report)
  if (!flags.quiet && process.stderr.isTTY)
    note(`${bytes(report.bytesTransferred)}, to ${shown(report.destination, true)}`)
}

type Report = Omit<CopyReport, 'directoriesCreated'>

async function send(
  files: VolumeFiles,
  local: string | null,
  { id, path }: Place,
  flags: Flags,
  signal: AbortSignal,
): Promise<Report> {
  const there = local === null ? undefined : await statOf(local)
  if (local !== null && !there) throw new LocalFailure(`"${local}" does not exist on this machine.`)
  if (there?.isDirectory()) throw new UsageError(`"${local}" is a directory; ${INSTEAD}`)
  const place = await placeInVolume(files, path, local === null ? undefined : nameFor(local, 'local'), signal)
  using meter = new Meter(local ?? '-', there?.size, flags)
  const source = local === null ? process.stdin : told(createReadStream(local), local)
  const size = there?.isFile() ? { length: there.size, mode: there.mode & 0o777 } : {}
  const info = await files.write(place, meter.through(source), { signal, ...size })
  return {
    source: local ?? '-',
    destination: `${id}:${place}`,
    bytesTransferred: info.size,
    filesTransferred: 1,
  }
}

const INSTEAD = 'mount the volume in a sandbox, and copy with "caisson cp -r".'

async function placeInVolume(
  files: VolumeFiles,
  target: string,
  name: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const path = posix.resolve('/', target)
  const written = target.endsWith('/') || target === '.'
  if (name === undefined && written)
    throw new UsageError('What comes from stdin has no name: write the path of the file.')
  if (name === undefined) return path
  const isFolder = written || (await isDirectory(files, path, signal))
  return isFolder ? posix.join(path, name) : path
}

async function isDirectory(files: VolumeFiles, path: string, signal: AbortSignal): Promise<boolean> {
  try {
    return (await files.stat(path, { signal })).type === 'directory'
  } catch (error) {
    if (SandboxError.is(error, 'file_not_found')) return false
    throw error
  }
}

async function fetch(
  files: VolumeFiles,
  { id, path }: Place,
  local: string | null,
  flags: Flags,
  signal: AbortSignal,
): Promise<Report> {
  const place = posix.resolve('/', path)
  const { type, size, mode } = await files.stat(place, { signal })
  if (type === 'directory') throw new UsageError(`"${path}" is a directory; ${INSTEAD}`)
  const target = local === null ? null : await placeLocally(local, nameFor(place, 'sandbox'))
  using meter = new Meter(place, size, flags)
  const body = meter.through(files.stream(place, { signal }))
  const written = target === null ? await toStdout(body) : await replaceFile(target, mode, body)
  return {
    source: `${id}:${place}`,
    destination: target ?? '-',
    bytesTransferred: written,
    filesTransferred: 1,
  }
}
