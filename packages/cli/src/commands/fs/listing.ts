import { type FileInfo, SandboxError } from 'caisson'
import type { Command } from 'commander'
import { UsageError } from '../../failure.ts'
import { wholeNumber } from '../../options.ts'
import { printJson, printLine } from '../../stdio.ts'
import { facts, shown } from '../../table.ts'
import { type FileFlags, filesCommand, openFiles } from './files-command.ts'
import { kindLetter, octal, permissions } from './mode.ts'

const LIST_HELP = `
A directory has a "/" after its name. Names are given as they are to a program; on a terminal control characters are
written out. --json is exact.

Examples:
  caisson fs ls work
  caisson fs ls work /var/log -l
  caisson fs ls work --depth 3 --json | jq -r '.files[].path'`

/** `ls` and `stat`. */
export function listing(): Command[] {
  const list = filesCommand('ls', 'List a directory, sorted by name.').aliases(['list'])
  list
    .argument('[path]', 'default: the home')
    .option('-l, --long', 'with type, permissions, owner, size and time')
    .option('--depth <n>', 'how deep: 1 is the directory alone', wholeNumber)
    .addHelpText('after', LIST_HELP)
    .action(listFiles)
  const stat = filesCommand('stat', 'Describe a file, directory or link.').aliases(['get', 'show', 'info'])
  stat
    .argument('<path>')
    .option('-L, --follow', 'what a link leads to, and not the link')
    .addHelpText('after', '\nExample:\n  caisson fs stat work /etc/os-release -L')
    .action(async (id: string, path: string, flags: FileFlags & { follow?: boolean }) => {
      const { files, user } = openFiles(id, flags)
      const info = await files.stat(path, { ...user, follow: flags.follow === true })
      await (flags.json ? printJson(info) : printLine(describe(info)))
    })
  return [list, stat]
}

async function listFiles(
  id: string,
  path: string | undefined,
  flags: FileFlags & { long?: boolean; depth?: number },
): Promise<void> {
  if (flags.depth === 0) throw new UsageError('A depth begins at 1.')
  const { files: all, user } = openFiles(id, flags)
  const asked = path ?? '.'
  const files = await all.list(asked, { ...user, depth: flags.depth }).catch(async (error) => {
    if (!SandboxError.is(error, 'file_wrong_type')) throw error
    return [await all.stat(asked, user)]
  })
  if (flags.json) return printJson({ files })
  // Deeper ones are told by their way from the directory that was asked for.
  const base = asked.endsWith('/') ? asked : `${asked}/`
  const named = files.map((file) => ({
    ...file,
    name: file.path.startsWith(base) ? file.path.slice(base.length) : file.path,
  }))
  if (named.length > 0) await printLine(flags.long ? longList(named) : named.map(fileLabel).join('\n'))
}

/** A name as a list tells it: a directory with a slash. */
export const fileLabel = (file: FileInfo): string => shown(file.name) + (file.type === 'directory' ? '/' : '')

/** Files with type, permissions, owner, size and time, one a line. */
export function longList(files: readonly FileInfo[]): string {
  const rows = files.map((file) => ({
    mode: kindLetter(file.type) + permissions(file.mode),
    owner: `${shown(file.owner ?? String(file.uid))} ${shown(file.group ?? String(file.gid))}`,
    size: String(file.size),
    time: file.modifiedAt.slice(0, 19).replace('T', ' '),
    name: fileLabel(file) + (file.link === null ? '' : ` -> ${shown(file.link)}`),
  }))
  const widest = (of: (row: (typeof rows)[number]) => string) =>
    Math.max(...rows.map((row) => of(row).length))
  const [owner, size] = [widest((row) => row.owner), widest((row) => row.size)]
  return rows
    .map((row) => [row.mode, row.owner.padEnd(owner), row.size.padStart(size), row.time, row.name].join('  '))
    .join('\n')
}

const describe = (info: FileInfo): string =>
  facts([
    ['path', shown(info.path, true)],
    ['type', info.type],
    ['leads to', info.link === null ? null : shown(info.link, true)],
    ['size', `${info.size} bytes`],
    ['mode', `${octal(info.mode)} (${permissions(info.mode)})`],
    ['owner', `${info.owner ?? '?'} (${info.uid})`],
    ['group', `${info.group ?? '?'} (${info.gid})`],
    ['modified', info.modifiedAt],
  ])
