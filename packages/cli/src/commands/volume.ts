import { Command } from 'commander'
import { volumeCopy } from './volume/copy.ts'
import { volumeFiles } from './volume/files.ts'
import { volumeRecords } from './volume/records.ts'

const HELP = `
A volume is files that outlive sandboxes, and that several may have mounted at once: "caisson create --volume <name>:/data".
Its files are reached without a sandbox, too; their paths begin at its own root, "/".

Examples:
  caisson volume create datasets --size 10Gi
  caisson volume cp words.txt datasets:/in/
  caisson create --volume datasets:/data --volume models:/models:ro
  caisson volume ls datasets /in -l
  caisson volume cp datasets:/in/words.txt - | wc
  caisson vol delete datasets --confirm`

export function build(): Command {
  const command = new Command('volume').description('Files that outlive sandboxes, for several at once.')
  for (const sub of [...volumeRecords(), ...volumeFiles(), volumeCopy()]) command.addCommand(sub)
  return command.addHelpText('after', HELP)
}
