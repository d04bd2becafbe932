import type { Command } from 'commander'
import { VERBS, type Verb } from '../../packages/cli/src/verbs.ts'

const WIDTH = 100

/** Every verb of the command line with its aliases, options and examples: what `--help` prints, as a page. */
export async function cliReference(): Promise<string> {
  const sections = await Promise.all(VERBS.map(section))
  return [
    '<!-- Generated from the commands by "npm run gen". Do not edit. -->',
    '# Command line',
    '',
    '`caisson cloud sandbox <verb>`, `caisson sandbox <verb>` and `caisson sb <verb>` are the same as `caisson <verb>`. Every verb',
    'takes `--json`. The exit code of `run` and `exec` is that of the command; 124 is a timeout, 125 a failure of Caisson',
    'itself, 126 and 127 a command that can not be started or found, 137 out of memory, 128 + n a signal.',
    '',
    ...sections.flat(),
  ].join('\n')
}

async function section(verb: Verb): Promise<string[]> {
  const command = (await verb.load()).build(undefined)
  const aliases = verb.aliases?.length
    ? [`Also: ${verb.aliases.map((name) => `\`${name}\``).join(', ')}.`, '']
    : []
  return [
    `## caisson ${verb.name}`,
    '',
    `${verb.summary[0]?.toUpperCase()}${verb.summary.slice(1)}.`,
    '',
    ...aliases,
    ...help(command, `caisson ${verb.name}`),
  ]
}

function help(command: Command, name: string): string[] {
  const text: string[] = []
  command.configureOutput({
    writeOut: (part) => text.push(part),
    getOutHelpWidth: () => WIDTH,
    getOutHasColors: () => false,
  })
  if (command.parent === null) command.name(name)
  const subcommands = command.commands.flatMap((sub) => help(sub, `${name} ${sub.name()}`))
  command.outputHelp()
  return ['```text', text.join('').trim(), '```', '', ...subcommands]
}
