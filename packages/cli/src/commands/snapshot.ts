import { Command } from 'commander'
import { snapshotArchives } from './snapshot/archives.ts'
import { snapshotBuilds } from './snapshot/builds.ts'
import { snapshotChanges } from './snapshot/changes.ts'
import { snapshotRecords } from './snapshot/records.ts'

const HELP = `
A snapshot is saved files, from which new sandboxes are made: "caisson create --snapshot <name>:<tag>". It is referred to
by its id, by "name:tag", by a name (its tag "latest"), or by a tag that only one has.

Examples:
  caisson snapshot create work --name python-ml
  caisson snapshot create work --name python-ml --tag v2 --description 'with torch'
  caisson snapshot list --sort size
  caisson create --snapshot python-ml:v2
  caisson snapshot build .                         from caisson-snapshot.yaml
  caisson snapshot export python-ml python-ml.tar.zst
  caisson snap delete python-ml:v2 --confirm`

export function build(): Command {
  const command = new Command('snapshot').description('Saved files that new sandboxes are made from.')
  for (const sub of [...snapshotChanges(), ...snapshotRecords(), ...snapshotArchives(), ...snapshotBuilds()])
    command.addCommand(sub)
  return command.addHelpText('after', HELP)
}
