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
    name: 'pause',
    aliases: ['hibernate'],
    summary: 'pause a sandbox',
    load: () => import('./commands/pause.ts'),
  },
  {
    name: 'resume',
    aliases: ['wake'],
    summary: 'resume a paused sandbox',
    load: () => import('./commands/resume.ts'),
  },
  { name: 'fork', summary: 'make copies of a sandbox', load: () => import('./commands/fork.ts') },
  {
    name: 'checkpoint',
    aliases: ['checkpoints', 'ckpt'],
    summary: 'save and restore the files of a sandbox',
    load: () => import('./commands/checkpoint.ts'),
  },
  {
    name: 'snapshot',
    aliases: ['snapshots', 'snap'],
    summary: 'save, build, export and import files for new sandboxes',
    load: () => import('./commands/snapshot.ts'),
  },
  {
    name: 'template',
    aliases: ['templates', 'tpl'],
    summary: 'build, list and delete what sandboxes are made of, in steps',
    load: () => import('./commands/template.ts'),
  },
  {
    name: 'volume',
    aliases: ['volumes', 'vol'],
    summary: 'files that outlive sandboxes, for several at once',
    load: () => import('./commands/volume.ts'),
  },
  {
    name: 'session',
    aliases: ['sessions'],
    summary: 'sandboxes for conversations, started and paused by themselves',
    load: () => import('./commands/session.ts'),
  },
  {
    name: 'executions',
    aliases: ['execution'],
    summary: 'list or show what was run',
    load: () => import('./commands/executions.ts'),
  },
  { name: 'ps', summary: 'list what runs in a sandbox', load: () => import('./commands/ps.ts') },
  {
    name: 'logs',
    summary: 'print the output of an execution or a job',
    load: () => import('./commands/logs.ts'),
  },
  {
    name: 'attach',
    summary: 'follow an execution from any offset, or join it',
    load: () => import('./commands/attach.ts'),
  },
  { name: 'kill', summary: 'signal an execution', load: () => import('./commands/kill.ts') },
  {
    name: 'job',
    aliases: ['jobs'],
    summary: 'run commands in the background',
    takesCommand: true,
    load: () => import('./commands/job.ts'),
  },
  {
    name: 'fs',
    aliases: ['files', 'file'],
    summary: 'files of a sandbox: list, copy, change, archive, watch, link',
    load: () => import('./commands/fs.ts'),
  },
  {
    name: 'cp',
    summary: 'copy files between this machine and a sandbox',
    load: () => import('./commands/cp.ts'),
  },
  {
    name: 'env',
    summary: 'list, set and delete the variables of a sandbox',
    load: () => import('./commands/env.ts'),
  },
  {
    name: 'network',
    aliases: ['net'],
    summary: 'show and change what a sandbox may reach, and what was refused',
    load: () => import('./commands/network.ts'),
  },
  {
    name: 'port',
    aliases: ['ports'],
    summary: 'expose ports of a sandbox, and make links to them',
    load: () => import('./commands/port.ts'),
  },
  {
    name: 'events',
    aliases: ['event'],
    summary: 'list what happened to a sandbox',
    load: () => import('./commands/events.ts'),
  },
  { name: 'usage', summary: 'show what a sandbox uses now', load: () => import('./commands/usage.ts') },
  {
    name: 'metrics',
    summary: 'show what a sandbox used in the last hours',
    load: () => import('./commands/metrics.ts'),
  },
  {
    name: 'stats',
    summary: 'show what all sandboxes used between two dates',
    load: () => import('./commands/stats.ts'),
  },
  {
    name: 'ssh',
    summary: 'open a shell in a sandbox over SSH',
    takesCommand: true,
    load: () => import('./commands/ssh.ts'),
  },
  { name: 'scp', summary: 'copy files over SSH', load: () => import('./commands/scp.ts') },
  {
    name: 'ssh-keys',
    aliases: ['ssh-key'],
    summary: 'manage who may come in by SSH',
    load: () => import('./commands/ssh-keys.ts'),
  },
  {
    name: 'runtime',
    aliases: ['runtimes', 'rt'],
    summary: 'list, build, import and delete what sandboxes are made of',
    load: () => import('./commands/runtime.ts'),
  },
  {
    name: 'storage',
    aliases: ['df'],
    summary: 'show what takes how much disk',
    load: () => import('./commands/storage.ts'),
  },
  { name: 'gc', summary: 'remove what nothing needs any more', load: () => import('./commands/gc.ts') },
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
