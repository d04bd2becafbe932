import { type FileInfo, SandboxError } from 'caisson'
import type { Command } from 'commander'
import { UsageError } from '../../failure.ts'
import { printJson, printLine } from '../../stdio.ts'
import { shown } from '../../table.ts'
import { type FileFlags, filesCommand, openFiles } from './files-command.ts'

/** `rm`, which takes no directory, and `rmdir`, which takes nothing else. */
export function removals(): Command[] {
  const remove = filesCommand('rm', 'Remove files and links; links are not followed.')
  remove
    .aliases(['delete', 'del', 'remove'])
    .argument('<path...>')
    .option('-f, --force', 'what does not exist is no failure')
    .addHelpText('after', '\nExamples:\n  caisson fs rm work old.log\n  caisson fs rm work -- --odd')
    .action((id: string, paths: string[], flags: Flags) => removeAll(id, paths, flags, refuseDirectory))
  const removeDirectory = filesCommand('rmdir', 'Remove directories.')
  removeDirectory
    .argument('<path...>')
    .option('-r, --recursive', 'with all that is in them')
    .option('-f, --force', 'what does not exist is no failure')
    .addHelpText(
      'after',
      '\nExamples:\n  caisson fs rmdir work empty\n  caisson fs rmdir work -r node_modules',
    )
    .action((id: string, paths: string[], flags: Flags) => removeAll(id, paths, flags, refuseOthers))
  return [remove, removeDirectory]
}

type Flags = FileFlags & { recursive?: boolean; force?: boolean }

async function removeAll(
  id: string,
  paths: string[],
  flags: Flags,
  check: (path: string, type: FileInfo['type']) => void,
): Promise<void> {
  const { files, user } = openFiles(id, flags)
  const removed: string[] = []
  for (const path of paths) {
    try {
      check(path, (await files.stat(path, user)).type)
      await files.remove(path, { ...user, recursive: flags.recursive === true })
    } catch (error) {
      if (flags.force && SandboxError.is(error, 'file_not_found')) continue
      throw error
    }
    removed.push(path)
    if (!flags.json) await printLine(`removed ${shown(path)}`)
  }
  if (flags.json) await printJson({ removed })
}

function refuseDirectory(path: string, type: FileInfo['type']): void {
  if (type === 'directory')
    throw new UsageError(`"${path}" is a directory; "caisson fs rmdir" removes those.`)
}

function refuseOthers(path: string, type: FileInfo['type']): void {
  if (type !== 'directory') throw new UsageError(`"${path}" is no directory; "caisson fs rm" removes it.`)
}
