import type { Command } from 'commander'
import { printJson, printLine } from '../../stdio.ts'
import { shown } from '../../table.ts'
import { type FileFlags, filesCommand, openFiles } from './files-command.ts'
import { octal, parseMode } from './mode.ts'

/** `mkdir`, `mv` and `chmod`. */
export function changes(): Command[] {
  const mkdir = filesCommand('mkdir', 'Make directories.')
  mkdir
    .argument('<path...>')
    .option('-p, --parents', 'make those above as well; one that exists is no failure')
    .option('-m, --mode <bits>', 'permission bits, in octal', parseMode)
    .addHelpText('after', '\nExample:\n  caisson fs mkdir work -p data/raw data/clean')
    .action(makeDirectories)
  const move = filesCommand('mv', 'Move or rename a file or directory.').aliases(['move', 'rename'])
  move
    .argument('<path>', 'what there is')
    .argument('<target>', 'its new path')
    .addHelpText('after', '\nExample:\n  caisson fs mv work draft.md final.md')
    .action(async (id: string, path: string, target: string, flags: FileFlags) => {
      const { files, user } = openFiles(id, flags)
      await files.rename(path, target, user)
      await report(flags, { path, target }, `moved ${shown(path)} to ${shown(target)}`)
    })
  const chmod = filesCommand('chmod', 'Change permission bits.')
  chmod
    .argument('<mode>', 'in octal, such as 755', parseMode)
    .argument('<path...>')
    .addHelpText('after', '\nExample:\n  caisson fs chmod work 755 run.sh')
    .action(async (id: string, mode: number, paths: string[], flags: FileFlags) => {
      const { files, user } = openFiles(id, flags)
      for (const path of paths) await files.chmod(path, mode, user)
      const lines = paths.map((path) => `${octal(mode)} ${shown(path)}`)
      await report(flags, { mode, paths }, lines.join('\n'))
    })
  return [mkdir, move, chmod]
}

async function makeDirectories(
  id: string,
  paths: string[],
  flags: FileFlags & { parents?: boolean; mode?: number },
): Promise<void> {
  const { files, user } = openFiles(id, flags)
  const directoriesCreated: string[] = []
  for (const path of paths) {
    const { mode, parents = false } = flags
    const options = { ...user, parents, ...(mode !== undefined && { mode }) }
    directoriesCreated.push(...(await files.mkdir(path, options)))
  }
  const lines = directoriesCreated.map((path) => `made ${shown(path)}`)
  await report(flags, { directoriesCreated }, lines.join('\n'))
}

async function report(flags: FileFlags, answer: object, text: string): Promise<void> {
  if (flags.json) await printJson(answer)
  else if (text !== '') await printLine(text)
}
