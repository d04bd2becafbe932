import { lstatSync, readFileSync } from 'node:fs'
import { type CreateOptions, type FilesToCreate, toBase64 } from 'caisson'
import { type Command, InvalidArgumentError } from 'commander'
import { UsageError } from './failure.ts'
import {
  type NetworkFlags,
  networkOf,
  type PortFlags,
  portsOf,
  withNetworkOptions,
  withPortOptions,
} from './network-options.ts'
import { defined, gather, gatherEnv, gatherMetadata, wholeNumber } from './options.ts'

/** What `run` and `create` say of a sandbox, as the parser gives it. */
export interface SandboxFlags extends NetworkFlags, PortFlags {
  memory?: string
  cpu?: string
  disk?: string
  pids?: number
  snapshot?: string
  template?: string
  volume?: NonNullable<CreateOptions['volumes']>
  runtime?: string
  runtimeId?: string
  dependency?: string[]
  package?: string[]
  env?: Record<string, string>
  file?: FilesToCreate
  scope?: string[]
  processes?: boolean
  projectId?: string
  orgId?: string
  name?: string
  description?: string
  metadata?: Record<string, string>
  idleTimeout?: string
  ttl?: string
}

/** Options of `run` and `create`. What a server cannot do is refused by it, with the reason. */
export function withSandboxOptions(command: Command): Command {
  command
    .option('--memory <size>', 'memory limit, such as 512Mi or 1Gi')
    .option('--cpu <amount>', 'CPU limit, such as 500m or 2')
    .option('--disk <size>', 'disk limit, such as 10Gi')
    .option('--pids <n>', 'limit of processes and threads', wholeNumber)
  return withPortOptions(withNetworkOptions(command))
    .option('--snapshot <reference>', 'start from a snapshot: its id, name:tag, name or tag')
    .option('--template <reference>', 'start from a template: its id, name or name:tag')
    .option('--processes', 'go on with the processes that were saved, or fail')
    .option('--no-processes', 'start anew, although it was saved with processes')
    .option('--volume <name:/path[:ro]>', 'mount a volume (repeatable)', gatherVolume)
    .option('--runtime <name>', 'runtime, such as base:latest; "caisson runtime list" shows them')
    .option('--runtime-id <id>', 'runtime by its id')
    .option('--dependency <package>', 'Debian package to install, name or name=version (repeatable)', gather)
    .option(
      '--package <package>',
      'npm package to install globally, name or name@version (repeatable)',
      gather,
    )
    .option('--env <KEY=VALUE>', 'environment variable; KEY alone passes yours on (repeatable)', gatherEnv)
    .option('--file <sandbox-path:local-path>', 'file to put in (repeatable)', gatherFile)
    .option('--metadata <json-or-key=value>', 'your own data (repeatable)', gatherMetadata)
    .option('--scope <scope>', 'permission for services (repeatable)', gather)
    .option('--project-id <id>', 'project that it belongs to')
    .option('--org-id <id>', 'organisation that it belongs to')
    .option('--name <name>', 'name, unique among living sandboxes')
    .option('--description <text>', 'description')
    .option('--idle-timeout <duration>', 'delete after so long with nothing running; 0: never')
    .option('--ttl <duration>', 'delete so long after creation, whatever runs')
}

/** The request that the options describe; `env` is given apart because `run` sets it on the command as well. */
export function sandboxOf(flags: SandboxFlags): CreateOptions {
  if (flags.runtime !== undefined && flags.runtimeId !== undefined)
    throw new UsageError('Give --runtime or --runtime-id, not both.')
  const { memory, cpu, disk, pids } = flags
  const resources = defined({ memory, cpu, disk, pids })
  return defined({
    ...(Object.keys(resources).length > 0 && { resources }),
    network: networkOf(flags),
    snapshot: flags.snapshot,
    template: flags.template,
    processes: flags.processes,
    volumes: flags.volume,
    runtime: flags.runtime ?? flags.runtimeId,
    dependencies: flags.dependency,
    packages: flags.package,
    ports: portsOf(flags),
    allPorts: flags.allPorts,
    portHost: flags.portHost,
    env: flags.env,
    files: flags.file,
    metadata: flags.metadata,
    scopes: flags.scope,
    projectId: flags.projectId,
    orgId: flags.orgId,
    name: flags.name,
    description: flags.description,
    idleTimeout: flags.idleTimeout,
    ttl: flags.ttl,
  }) as CreateOptions
}

type LongFiles = Extract<FilesToCreate, unknown[]>

/** A sandbox path may hold colons; a local one that does is told by being the longest that exists. */
function gatherFile(text: string, before: LongFiles = []): LongFiles {
  const cuts = [...text.matchAll(/:/g)].map((match) => match.index).filter((at) => at > 0)
  const cut = cuts.find((at) => isFile(text.slice(at + 1)))
  if (cuts.length === 0) throw new InvalidArgumentError('Write sandbox-path:local-path.')
  if (cut === undefined)
    throw new InvalidArgumentError(`There is no file "${text.slice(cuts[0]! + 1)}" here.`)
  const local = text.slice(cut + 1)
  const mode = lstatSync(local).mode & 0o777
  const content = toBase64(readFileSync(local))
  return [...before, { path: text.slice(0, cut), content, encoding: 'base64', mode }]
}

/** Names of volumes have no colon; a path may. */
function gatherVolume(
  text: string,
  before: NonNullable<CreateOptions['volumes']> = [],
): NonNullable<CreateOptions['volumes']> {
  const [, volume, path, access] = /^([^:]+):(\/.*?)(?::(ro|rw))?$/s.exec(text) ?? []
  if (volume === undefined || path === undefined)
    throw new InvalidArgumentError('Write name:/path, and :ro behind it for one that is only read.')
  return [...before, { volume, path, ...(access === 'ro' && { readOnly: true }) }]
}

const isFile = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isFile() ?? false
