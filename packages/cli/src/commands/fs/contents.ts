import { type Command, Option } from 'commander'
import { wholeNumber } from '../../options.ts'
import { note, printJson, printLine, toStdout } from '../../stdio.ts'
import { shown } from '../../table.ts'
import { type FileFlags, filesCommand, openFiles } from './files-command.ts'

const LINK_HELP = `
Whoever has the link can read that file, or with --write replace it, without a key until it expires.

Examples:
  caisson fs link work report.pdf
  curl -T data.csv "$(caisson fs link work data.csv --write --ttl 10m)"`

const CHECKSUM_HELP = `
Example:
  test "$(caisson fs checksum work out.bin)" = "$(sha256sum < out.bin | cut -d' ' -f1)"`

type Algorithm = 'sha256' | 'sha512' | 'sha1' | 'md5'

/** `cat`, `checksum` and `link`. */
export function contents(): Command[] {
  const cat = filesCommand('cat', 'Print a file.')
  cat
    .argument('<path>')
    .option('--offset <bytes>', 'begin at this byte', wholeNumber)
    .option('--length <bytes>', 'at most so many bytes', wholeNumber)
    .addHelpText('after', '\nExample:\n  caisson fs cat work /etc/os-release')
    .action(printFile)
  const checksum = filesCommand('checksum', 'Digest of a file, in hexadecimal.')
  checksum
    .argument('<path>')
    .addOption(
      new Option('--algorithm <name>', 'which (default: sha256)').choices([
        'sha256',
        'sha512',
        'sha1',
        'md5',
      ]),
    )
    .addHelpText('after', CHECKSUM_HELP)
    .action(async (id: string, path: string, flags: FileFlags & { algorithm?: Algorithm }) => {
      const { files, user } = openFiles(id, flags)
      const answer = await files.checksum(path, flags.algorithm, user)
      await (flags.json ? printJson(answer) : printLine(answer.digest))
    })
  const link = filesCommand('link', 'Make a link to one file that works without a key.')
  link
    .argument('<path>')
    .option('--write', 'to write the file, and not to read it')
    .option('--ttl <duration>', 'until it expires, at most 7d (default: 1h)')
    .addHelpText('after', LINK_HELP)
    .action(makeLink)
  return [cat, checksum, link]
}

async function printFile(
  id: string,
  path: string,
  flags: FileFlags & { offset?: number; length?: number },
): Promise<void> {
  const { files, user } = openFiles(id, flags)
  const { offset, length } = flags
  if (!flags.json) {
    await toStdout(files.stream(path, { ...user, offset, length }))
    return
  }
  const bytes = Buffer.from(await files.read(path, { ...user, offset, length }))
  const content = bytes.toString('utf8')
  const exact = Buffer.from(content).equals(bytes)
  await printJson({
    path,
    size: bytes.length,
    content,
    ...(!exact && { contentBase64: bytes.toString('base64') }),
  })
}

async function makeLink(
  id: string,
  path: string,
  flags: FileFlags & { write?: boolean; ttl?: string },
): Promise<void> {
  const { files, user } = openFiles(id, flags)
  const link = await files.link(path, { ...user, operation: flags.write ? 'write' : 'read', ttl: flags.ttl })
  if (flags.json) return printJson(link)
  note(`it expires at ${link.expiresAt}`)
  if (link.url === null)
    note('the server does not listen on TCP ("caisson serve --listen"); this is the path of the link')
  await printLine(shown(link.url ?? link.path))
}
