import { type FileInfo, SandboxError, type VolumeFiles } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../../connection.ts'
import { UsageError } from '../../failure.ts'
import { wholeNumber } from '../../options.ts'
import { printJson, printLine, toStdout } from '../../stdio.ts'
import { shown } from '../../table.ts'
import { fileLabel, longList } from '../fs/listing.ts'
import { parseMode } from '../fs/mode.ts'

/** `ls`, `cat`, `mkdir` and `rm`. */
export const volumeFiles = (): Command[] => [listCommand(), catCommand(), makeCommand(), removeCommand()]

function filesCommand(name: string, description: string): Command {
  return withConnection(new Command(name).description(description).argument('<volume>', 'id or name'))
}

const open = (volume: string, flags: CommonFlags): VolumeFiles => connect(flags).volumes.files(volume)

type ListFlags = CommonFlags & { long?: boolean; depth?: number }

function listCommand(): Command {
  return filesCommand('ls', 'list a directory of a volume, sorted by name')
    .argument('[path]', 'default: /', '/')
    .option('-l, --long', 'with type, permissions, owner, size and time')
    .option('--depth <n>', 'how deep: 1 is the directory alone', wholeNumber)
    .action(async (volume: string, path: string, flags: ListFlags) => {
      if (flags.depth === 0) throw new UsageError('A depth begins at 1.')
      const all = open(volume, flags)
      const files = await all.list(path, { depth: flags.depth }).catch(async (error) => {
        if (!SandboxError.is(error, 'file_wrong_type')) throw error
        return [await all.stat(path)]
      })
      if (flags.json) return printJson({ files })
      const named = files.map((file) => ({ ...file, name: nameBelow(path, file) }))
      if (named.length > 0) await printLine(flags.long ? longList(named) : named.map(fileLabel).join('\n'))
    })
}

/** Deeper ones are told by their way from the directory that was asked for. */
function nameBelow(directory: string, { path }: FileInfo): string {
  const base = `/${directory.replace(/^\/+|\/+$/g, '')}/`.replace('//', '/')
  return path.startsWith(base) ? path.slice(base.length) : path
}

function catCommand(): Command {
  return filesCommand('cat', 'print a file of a volume')
    .argument('<path>')
    .option('--offset <bytes>', 'begin at this byte', wholeNumber)
    .option('--length <bytes>', 'at most so many bytes', wholeNumber)
    .action(
      async (volume: string, path: string, flags: CommonFlags & { offset?: number; length?: number }) => {
        const { offset, length } = flags
        const files = open(volume, flags)
        if (!flags.json) return void (await toStdout(files.stream(path, { offset, length })))
        const bytes = Buffer.from(await files.read(path, { offset, length }))
        const content = bytes.toString('utf8')
        const exact = Buffer.from(content).equals(bytes)
        const more = exact ? {} : { contentBase64: bytes.toString('base64') }
        await printJson({ path, size: bytes.length, content, ...more })
      },
    )
}

function makeCommand(): Command {
  return filesCommand('mkdir', 'make directories in a volume')
    .argument('<path...>')
    .option('-p, --parents', 'make those above as well; one that exists is no failure')
    .option('-m, --mode <bits>', 'permission bits, in octal', parseMode)
    .action(
      async (volume: string, paths: string[], flags: CommonFlags & { parents?: boolean; mode?: number }) => {
        const { parents = false, mode } = flags
        const made: FileInfo[] = []
        for (const path of paths) made.push(await open(volume, flags).mkdir(path, { parents, mode }))
        if (flags.json) return printJson({ directories: made })
        await printLine(made.map(({ path }) => `made ${shown(path)}`).join('\n'))
      },
    )
}

function removeCommand(): Command {
  return filesCommand('rm', 'remove files of a volume; links are not followed')
    .argument('<path...>')
    .option('-r, --recursive', 'directories with all that is in them')
    .option('-f, --force', 'what does not exist is no failure')
    .action(
      async (
        volume: string,
        paths: string[],
        flags: CommonFlags & { recursive?: boolean; force?: boolean },
      ) => {
        const removed: string[] = []
        for (const path of paths) {
          try {
            await open(volume, flags).remove(path, { recursive: flags.recursive })
          } catch (error) {
            if (flags.force && SandboxError.is(error, 'file_not_found')) continue
            throw error
          }
          removed.push(path)
          if (!flags.json) await printLine(`removed ${shown(path)}`)
        }
        if (flags.json) await printJson({ removed })
      },
    )
}
