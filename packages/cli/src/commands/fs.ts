import { Command } from 'commander'
import { build as buildCopy } from './cp.ts'
import { archives } from './fs/archives.ts'
import { attributes } from './fs/attributes.ts'
import { changes } from './fs/changes.ts'
import { contents } from './fs/contents.ts'
import { listing } from './fs/listing.ts'
import { removals } from './fs/removals.ts'
import { watching } from './fs/watching.ts'

const HELP = `
Paths are those of the sandbox; relative ones begin at the user's home. Files are touched inside the sandbox, with the
rights of the user. Names that begin with a dash come after --.

Examples:
  caisson fs ls work -l
  caisson fs cp -r ./src work:                     the same as "caisson cp"
  caisson fs rm work -- --odd
  caisson fs download work ./backup.zip --path data
  caisson fs link work report.pdf --ttl 1d
  caisson fs attr set work report.pdf origin=upload`

export function build(): Command {
  const command = new Command('fs').description('Files of a sandbox.')
  const all = [
    buildCopy(),
    ...listing(),
    ...contents(),
    ...changes(),
    ...removals(),
    ...attributes(),
    ...archives(),
    ...watching(),
  ]
  for (const sub of all) command.addCommand(sub)
  return command.addHelpText('after', HELP)
}
