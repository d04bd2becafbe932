import { Command } from 'commander'
import { UsageError } from '../../failure.ts'
import { gather } from '../../options.ts'
import { note, printJson, printLine } from '../../stdio.ts'
import { shown } from '../../table.ts'
import { type FileFlags, filesCommand, openFiles } from './files-command.ts'

const HELP = `
Names are those of extended attributes "user.<name>", without "user.".

Examples:
  caisson fs attr set work report.pdf origin=upload reviewed=yes
  caisson fs attr set work report.pdf --remove reviewed
  caisson fs attr get work report.pdf
  caisson fs attr get work report.pdf origin`

/** `attr get` and `attr set`. */
export function attributes(): Command[] {
  const command = new Command('attr')
    .aliases(['attributes', 'xattr'])
    .description('Extended attributes of a file or directory.')
  const get = filesCommand('get', 'Print attributes, or the value of one.').aliases(['list', 'ls'])
  get.argument('<path>').argument('[name]').action(getAttributes)
  const set = filesCommand('set', 'Set and remove attributes.')
  set
    .argument('<path>')
    .argument('[name=value...]')
    .option('--remove <name>', 'take this one away (repeatable)', gather)
    .action(setAttributes)
  return [command.addCommand(get).addCommand(set).addHelpText('after', HELP)]
}

async function getAttributes(
  id: string,
  path: string,
  name: string | undefined,
  flags: FileFlags,
): Promise<void> {
  const { files, user } = openFiles(id, flags)
  const { attributes = {} } = await files.stat(path, { ...user, attributes: true })
  if (flags.json) return printJson(name === undefined ? { attributes } : { [name]: attributes[name] ?? null })
  if (name !== undefined) {
    if (attributes[name] === undefined) throw new UsageError(`"${path}" has no attribute "${name}".`)
    return printLine(shown(attributes[name]))
  }
  const lines = Object.entries(attributes).map(([key, value]) => `${shown(key)}=${shown(value)}`)
  if (lines.length === 0) return note('no attributes')
  await printLine(lines.sort().join('\n'))
}

async function setAttributes(
  id: string,
  path: string,
  pairs: string[],
  flags: FileFlags & { remove?: string[] },
): Promise<void> {
  const { files, user } = openFiles(id, flags)
  const attributes: Record<string, string | null> = Object.fromEntries(pairs.map(pairOf))
  for (const name of flags.remove ?? []) attributes[name] = null
  if (Object.keys(attributes).length === 0) throw new UsageError('Write <name>=<value>, or --remove <name>.')
  await files.setAttributes(path, attributes, user)
  if (flags.json) return printJson({ path, attributes })
  const told = Object.entries(attributes).map(([name, value]) => (value === null ? `-${name}` : name))
  await printLine(`${shown(path)}: ${told.map((each) => shown(each)).join(' ')}`)
}

function pairOf(text: string): [string, string] {
  const cut = text.indexOf('=')
  if (cut < 1) throw new UsageError(`"${text}" is no <name>=<value>.`)
  return [text.slice(0, cut), text.slice(cut + 1)]
}
