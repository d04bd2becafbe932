import type { StartOptions } from 'caisson'
import { type Command, InvalidArgumentError, Option } from 'commander'

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
