import type { BuildPlan } from 'caisson/build'
import { Command, Option } from 'commander'
import { type CommonFlags, connect, withConnection } from '../../connection.ts'
import { localFailure } from '../../failure.ts'
import { defined, gatherEnv } from '../../options.ts'
import { note, printJson, printLine, writeAll } from '../../stdio.ts'
import { stoppable } from '../../stop.ts'
import { bytes, printable } from '../../table.ts'
import { type SnapshotFlags, withSnapshotOptions } from './changes.ts'

const BUILD_HELP = `
The build file is caisson-snapshot.yaml, .yml or .json in the directory; "caisson snapshot generate" writes one to begin
with. Its files go to /home/agent/workspace. When name and tag have the same content already, nothing is built. Nothing of
a build runs on this machine.

Examples:
  caisson snapshot build .
  caisson snapshot build . --dry-run
  caisson snapshot build ./project --file production.yaml --tag production
  caisson snapshot build . --env VERSION=1.0.0 --env API_KEY --force`

const GENERATE_HELP = `
Examples:
  caisson snapshot generate > caisson-snapshot.yaml
  caisson snapshot generate --format json > caisson-snapshot.json`

/** `build` and `generate`. */
export const snapshotBuilds = (): Command[] => [buildCommand(), generateCommand()]

type Flags = CommonFlags &
  SnapshotFlags & {
    file?: string
    env?: Record<string, string>
    force?: boolean
    dryRun?: boolean
    quiet?: boolean
  }

function buildCommand(): Command {
  const command = new Command('build').description('build a snapshot as a build file says; prints the id')
  command
    .argument('[directory]', 'what files are taken from', '.')
    .option('--file <file>', 'the build file, from the directory on')
    .option(
      '--env <KEY=VALUE>',
      'a value for the build file; KEY alone passes yours on (repeatable)',
      gatherEnv,
    )
    .option('--force', 'build although nothing has changed')
    .option('--dry-run', 'only tell what would be sent')
    .option('--quiet', 'no progress')
  return withConnection(withSnapshotOptions(command)).addHelpText('after', BUILD_HELP).action(buildSnapshot)
}

async function buildSnapshot(directory: string, flags: Flags): Promise<void> {
  const { file, name, tag, description, env, metadata, force, public: open, confirm } = flags
  const asked = defined({ file, name, tag, description, env, metadata, force, public: open, confirm })
  if (flags.dryRun) return dryRun(directory, asked, flags)
  const client = connect(flags)
  const tell = (line: string) => (flags.quiet || flags.json ? undefined : note(printable(line)))
  const { snapshot, built } = await stoppable('The build', undefined, (signal) =>
    client.snapshots.build(directory, { ...asked, onProgress: tell, signal }),
  ).catch((error) => {
    throw localFailure(error, directory)
  })
  if (flags.json) await printJson({ ...snapshot, built })
  else await printLine(snapshot.id)
}

async function dryRun(directory: string, asked: object, flags: Flags): Promise<void> {
  const { planSnapshot } = await import('caisson/build')
  const plan = await planSnapshot(directory, asked).catch((error) => {
    throw localFailure(error, directory)
  })
  if (flags.json) return printJson({ ...plan, spec: { ...plan.spec, env: Object.keys(plan.spec.env) } })
  for (const line of plan.notes) note(printable(line))
  await printLine(describe(plan))
}

function describe({ name, spec, files, bytes: total, contentHash }: BuildPlan): string {
  const installed = [...spec.dependencies, ...spec.packages]
  return [
    ...files.map((file) =>
      file.type === 'link'
        ? `${file.path} -> ${file.target}`
        : `${file.path}  ${bytes(file.size)}${file.mode & 0o100 ? '  executable' : ''}`,
    ),
    `${name} of ${spec.runtime}${installed.length > 0 ? ` with ${installed.join(', ')}` : ''}`,
    `${files.length} files, ${bytes(total)}, content ${contentHash}`,
  ]
    .map(printable)
    .join('\n')
}

function generateCommand(): Command {
  const command = new Command('generate').description('print a build file to begin with')
  const format = new Option('--format <format>', 'yaml or json').choices(['yaml', 'json']).default('yaml')
  return command
    .addOption(format)
    .option('--json', 'the same as --format json')
    .addHelpText('after', GENERATE_HELP)
    .action(async (flags: { format: 'yaml' | 'json'; json?: boolean }) => {
      const { snapshotTemplate } = await import('caisson/build')
      await writeAll(process.stdout, snapshotTemplate(flags.json ? 'json' : flags.format))
    })
}
