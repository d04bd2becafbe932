import type { FileChange } from 'caisson'
import type { Command } from 'commander'
import { note, printLine } from '../../stdio.ts'
import { shown } from '../../table.ts'
import { type FileFlags, filesCommand, openFiles } from './files-command.ts'

const HELP = `
One change a line, until Ctrl-C. With --json one JSON object a line, from {"type":"ready"} on. "overflow" says that
changes were lost: look again.

Examples:
  caisson fs watch work src -r
  caisson fs watch work --json | jq -r 'select(.type == "write").path'`

/** `watch`. */
export function watching(): Command[] {
  const watch = filesCommand('watch', 'Print changes of files as they happen.')
  watch
    .argument('[path]', 'default: the home')
    .option('-r, --recursive', 'also in all directories below')
    .addHelpText('after', HELP)
    .action(async (id: string, path: string | undefined, flags: FileFlags & { recursive?: boolean }) => {
      const { files, user } = openFiles(id, flags)
      await using changes = await files.watch(path, { ...user, recursive: flags.recursive === true })
      if (flags.json) await printLine(JSON.stringify({ type: 'ready' }))
      else note('watching')
      for await (const change of changes)
        await printLine(flags.json ? JSON.stringify(change) : describe(change))
    })
  return [watch]
}

function describe({ type, path, target }: FileChange): string {
  const where = target === null ? shown(path) : `${shown(path)} -> ${shown(target)}`
  return `${type.padEnd(8)} ${where}`.trimEnd()
}
