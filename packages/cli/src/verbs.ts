import type { Command } from 'commander'

/** What a verb's file exports: its command. `tail` is what stood after `--`, for verbs that take a command. */
export interface VerbModule {
  build: (tail: string[] | undefined) => Command
}

export interface Verb {
  name: string
  aliases?: readonly string[]
  summary: string
  /** The rest of the line after `--`, or after the first plain words, is a command to run. */
  takesCommand?: true
  load: () => Promise<VerbModule>
}

/** Every verb; its file is loaded when it is used, so that the others cost nothing. */
export const VERBS: readonly Verb[] = [
  {
    name: 'run',
    summary: 'run one command in a new sandbox, then delete the sandbox',
    takesCommand: true,
    load: () => import('./commands/run.ts'),
  },
  {
    name: 'create',
    aliases: ['new'],
    summary: 'create a sandbox that stays',
    load: () => import('./commands/create.ts'),
  },
  {
    name: 'exec',
    summary: 'run a command in a sandbox',
    takesCommand: true,
    load: () => import('./commands/exec.ts'),
  },
  { name: 'list', aliases: ['ls'], summary: 'list sandboxes', load: () => import('./commands/list.ts') },
  {
    name: 'get',
    aliases: ['show', 'info'],
    summary: 'show a sandbox',
    load: () => import('./commands/get.ts'),
  },
  {
    name: 'update',
    aliases: ['extend'],
    summary: 'change a sandbox, or the time that it has left',
    load: () => import('./commands/update.ts'),
  },
  {
    name: 'delete',
    aliases: ['rm', 'del', 'remove', 'destroy', 'terminate'],
    summary: 'delete sandboxes',
    load: () => import('./commands/delete.ts'),
  },
  {
    name: 'executions',
    aliases: ['execution'],
    summary: 'list or show what was run',
    load: () => import('./commands/executions.ts'),
  },
  {
    name: 'attach',
    summary: 'follow the output of an execution, from any offset',
    load: () => import('./commands/attach.ts'),
  },
  { name: 'kill', summary: 'signal an execution', load: () => import('./commands/kill.ts') },
  {
    name: 'runtimes',
    aliases: ['runtime', 'rt'],
    summary: 'list runtimes',
    load: () => import('./commands/runtimes.ts'),
  },
  {
    name: 'serve',
    summary: 'run the server',
    load: () => import('./commands/serve.ts'),
  },
  { name: 'server', summary: 'ask for or stop the server', load: () => import('./commands/server.ts') },
  { name: 'keys', aliases: ['key'], summary: 'manage API keys', load: () => import('./commands/keys.ts') },
  {
    name: 'doctor',
    summary: 'check what this host can do',
    load: () => import('./commands/doctor.ts'),
  },
  { name: 'config', summary: 'print the configuration in force', load: () => import('./commands/config.ts') },
]

export const findVerb = (word: string | undefined): Verb | undefined =>
  VERBS.find((verb) => verb.name === word || verb.aliases?.includes(word ?? ''))

/** `caisson cloud sandbox run …`, `caisson sandbox run …`, `caisson sb run …` are `caisson run …`. */
export function stripPrefix(argv: string[]): string[] {
  const rest = argv[0] === 'cloud' ? argv.slice(1) : argv
  return rest[0] === 'sandbox' || rest[0] === 'sb' ? rest.slice(1) : rest
}
