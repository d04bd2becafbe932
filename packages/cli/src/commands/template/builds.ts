import { setTimeout as sleep } from 'node:timers/promises'
import type { Build, BuildLogEntry, Builds } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../../connection.ts'
import { localFailure } from '../../failure.ts'
import { gather } from '../../options.ts'
import { note, printJson, printLine } from '../../stdio.ts'
import { stoppable } from '../../stop.ts'
import { printable } from '../../table.ts'

const BUILD_HELP = `
The file is caisson-template.yaml, .yml or .json, or a Dockerfile; copies are taken from its directory. Everything of a build
runs in a sandbox of the server; steps that an earlier build has done are taken from it. Of a Dockerfile FROM, RUN, COPY, ENV,
WORKDIR, USER and CMD are read, CMD as what runs from the start; all else is refused.

Examples:
  caisson template build .
  caisson template build web/Dockerfile --name web --tag v2 --tag latest
  caisson template build . --ready 'curl -sf localhost:8000' --force`

/** Entries of a log that are asked for at once. */
const PAGE = 1000
/** Milliseconds between two looks at a build that goes on. */
const LOOK_EVERY = 500

/** `build`, `logs` and `cancel`. */
export const templateBuilds = (): Command[] => [buildCommand(), logsCommand(), cancelCommand()]

type BuildFlags = CommonFlags & {
  name?: string
  tag?: string[]
  start?: string
  ready?: string
  memory?: string
  cpu?: string
  disk?: string
  force?: boolean
  quiet?: boolean
}

function buildCommand(): Command {
  const command = new Command('build').description('build a template as a file says; prints the id')
  command
    .argument('[file]', 'the build file, or a directory that has one', '.')
    .option('--name <name>', "instead of the file's; default: the name of the directory")
    .option('--tag <tag>', 'put on it when it is ready (repeatable; default: latest)', gather)
    .option('--start <command>', 'what runs from the start of each sandbox on')
    .option('--ready <command>', 'tried until it ends with 0; a sandbox is there when it has')
    .option('--memory <size>', 'of its sandboxes that ask for none, such as 512Mi')
    .option('--cpu <amount>', 'of its sandboxes that ask for none, such as 500m')
    .option('--disk <size>', 'of its sandboxes that ask for none, such as 10Gi')
    .option('--force', 'take no step from an earlier build')
    .option('--quiet', 'no log')
  return withConnection(command).addHelpText('after', BUILD_HELP).action(buildTemplate)
}

async function buildTemplate(path: string, flags: BuildFlags): Promise<void> {
  const { readTemplate } = await import('caisson/build')
  const { definition, directory } = await readTemplate(path, flags.name).catch((error) => {
    throw localFailure(error, path)
  })
  const { memory, cpu, disk } = flags
  const resources = {
    ...definition.resources,
    ...(memory && { memory }),
    ...(cpu && { cpu }),
    ...(disk && { disk }),
  }
  const asked = {
    ...definition,
    tags: flags.tag ?? definition.tags,
    ...(Object.keys(resources).length > 0 && { resources }),
    startCommand: flags.start ?? definition.startCommand,
    readyCommand: flags.ready ?? definition.readyCommand,
    force: flags.force ?? definition.force,
  }
  const onLog = (entry: BuildLogEntry) => (flags.quiet || flags.json ? undefined : note(lineOf(entry)))
  const { templates } = connect(flags)
  const { template, build } = await stoppable('The build', undefined, (signal) =>
    templates.build(asked, { directory, signal, onLog }),
  ).catch((error) => {
    throw localFailure(error, path)
  })
  if (flags.json) return printJson({ ...template, build })
  note(`built ${template.name}:${build.tags.join(',')}, ${build.id}`)
  await printLine(template.id)
}

/** What a build tells comes from programs that ran in a sandbox. */
function lineOf({ level, step, message }: BuildLogEntry): string {
  const place = step === null ? '' : `[${step}] `
  const weight = level === 'warn' || level === 'error' ? `${level}: ` : ''
  return `${place}${weight}${printable(message)}`
}

function logsCommand(): Command {
  const logs = new Command('logs').alias('log').description('print what a build has told')
  logs.argument('<build>', 'id').option('-f, --follow', 'go on until it has ended')
  return withConnection(logs).action(async (id: string, flags: CommonFlags & { follow?: boolean }) => {
    const { builds } = connect(flags).templates
    const entries: BuildLogEntry[] = []
    for await (const entry of entriesOf(builds, id, flags.follow === true)) {
      if (flags.json) entries.push(entry)
      else await printLine(`${entry.at} ${lineOf(entry)}`)
    }
    const build = await builds.get(id)
    if (flags.json) return printJson({ build, entries })
    note(outcome(build))
  })
}

async function* entriesOf(builds: Builds, id: string, follow: boolean): AsyncGenerator<BuildLogEntry> {
  for (let offset = 0; ; ) {
    // Before the log: what is told until the end is all there then.
    const { status } = await builds.get(id)
    const page = await builds.log(id, { offset, limit: PAGE })
    yield* page
    offset += page.length
    if (page.length === PAGE) continue
    if (!follow || status === 'ready' || status === 'failed') return
    await sleep(LOOK_EVERY)
  }
}

function outcome({ id, status, reason }: Build): string {
  if (reason === null) return `${id} is ${status}`
  const where = reason.step === null ? '' : ` in step ${reason.step}`
  return `${id} failed${where}: ${printable(reason.message)}`
}

function cancelCommand(): Command {
  const cancel = new Command('cancel').description('end a build; one that has ended stays as it is')
  return withConnection(cancel.argument('<build>', 'id')).action(async (id: string, flags: CommonFlags) => {
    const build = await connect(flags).templates.builds.cancel(id)
    await (flags.json ? printJson(build) : printLine(outcome(build)))
  })
}
