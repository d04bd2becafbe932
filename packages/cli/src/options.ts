import { lstatSync, readFileSync } from 'node:fs'
import { type CreateOptions, type FilesToCreate, type StartOptions, toBase64 } from 'caisson'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { UsageError } from './failure.ts'

/** What `run` and `create` say of a sandbox, as the parser gives it. */
export interface SandboxFlags {
  memory?: string
  cpu?: string
  disk?: string
  pids?: number
  network?: boolean
  snapshot?: string
  runtime?: string
  runtimeId?: string
  dependency?: string[]
  package?: string[]
  port?: number[]
  env?: Record<string, string>
  file?: FilesToCreate
  scope?: string[]
  projectId?: string
  orgId?: string
  name?: string
  description?: string
  metadata?: Record<string, string>
  idleTimeout?: string
  ttl?: string
}

/** Options of `run` and `create`. What this server cannot do is refused by it, with the reason. */
export function withSandboxOptions(command: Command): Command {
  return command
    .option('--memory <size>', 'memory limit, such as 512Mi or 1Gi')
    .option('--cpu <amount>', 'CPU limit, such as 500m or 2')
    .option('--disk <size>', 'disk limit, such as 10Gi')
    .option('--pids <n>', 'limit of processes and threads', wholeNumber)
    .option('--network', 'let it reach the internet')
    .option('--port <port>', 'expose a port (repeatable)', gatherPort)
    .option('--snapshot <id-or-tag>', 'start from a snapshot')
    .option('--runtime <name>', 'runtime, such as base:latest')
    .option('--runtime-id <id>', 'runtime by its id')
    .option('--dependency <package>', 'apt package to install (repeatable)', gather)
    .option('--package <package>', 'npm package to install globally (repeatable)', gather)
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
    network: flags.network,
    snapshot: flags.snapshot,
    runtime: flags.runtime ?? flags.runtimeId,
    dependencies: flags.dependency,
    packages: flags.package,
    ports: flags.port,
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

/** What every verb that starts a command says of it. */
export interface StartFlags {
  user?: string
  cwd?: string
  timeout?: string
  outputLimit?: number
  outputKeep?: 'head' | 'tail'
  tag?: string
}

/** What `run` and `exec` say of a command. */
export interface CommandFlags extends StartFlags {
  tty?: boolean
  interactive?: boolean
  stdin?: boolean
  quiet?: boolean
  timestamps?: boolean
  json?: boolean
}

export function withStartOptions(command: Command): Command {
  return command
    .option('--user <name>', 'user to run as (default: agent)')
    .option('--cwd <path>', "working directory (default: the user's home)")
    .option('--timeout <duration>', 'end the command after so long, such as 30s or 5m')
    .option('--output-limit <bytes>', 'bytes of output that the server keeps', wholeNumber)
    .addOption(
      new Option('--output-keep <end>', 'which end of the output is kept at the limit').choices([
        'head',
        'tail',
      ]),
    )
    .option('--tag <name>', 'a name to find it by; need not be unique')
}

export function withCommandOptions(command: Command): Command {
  return withStartOptions(command)
    .option('-t, --tty', 'give it a terminal (default: when stdin and stdout are one)')
    .option('--no-tty', 'give it no terminal')
    .option('-i, --interactive', 'send stdin even when it is a terminal')
    .option('--no-stdin', 'do not send stdin (default: sent when it is piped)')
    .option('--quiet', 'do not print the output')
    .option('--timestamps', 'put the time before each line')
}

export function commandOf(flags: StartFlags): StartOptions {
  const { user, cwd, timeout, outputLimit, outputKeep, tag } = flags
  return defined({ user, cwd, timeout, outputLimit, outputKeep, tag })
}

/** The members that have a value. */
export function defined<T extends object>(value: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as never
}

const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const

/** Milliseconds of a duration such as "30s" or "1h30m", for waits of our own. */
export function milliseconds(text: string): number {
  const parts = [...text.matchAll(/(\d+)(ms|[dhms])/g)]
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text)
    throw new InvalidArgumentError('Write a duration such as 500ms, 30s or 1h30m.')
  return parts.reduce((sum, [, n, unit]) => sum + Number(n) * UNITS[unit as keyof typeof UNITS], 0)
}

export function wholeNumber(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('Not a whole number.')
  return value
}

export const gather = (text: string, before: string[] = []): string[] => [...before, text]

const gatherPort = (text: string, before: number[] = []): number[] => [...before, wholeNumber(text)]

export function gatherEnv(text: string, before: Record<string, string> = {}): Record<string, string> {
  const cut = text.indexOf('=')
  if (cut === 0) throw new InvalidArgumentError('Write KEY=VALUE.')
  const key = cut === -1 ? text : text.slice(0, cut)
  const value = cut === -1 ? process.env[key] : text.slice(cut + 1)
  if (value === undefined) throw new InvalidArgumentError(`${key} is not set here; write ${key}=VALUE.`)
  return { ...before, [key]: value }
}

export function gatherMetadata(text: string, before: Record<string, string> = {}): Record<string, string> {
  if (!text.trimStart().startsWith('{')) {
    const cut = text.indexOf('=')
    if (cut < 1) throw new InvalidArgumentError('Write a JSON object or KEY=VALUE.')
    return { ...before, [text.slice(0, cut)]: text.slice(cut + 1) }
  }
  try {
    return { ...before, ...JSON.parse(text) }
  } catch {
    throw new InvalidArgumentError('That is not valid JSON.')
  }
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

const isFile = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isFile() ?? false
