import { Command } from 'commander'
import { askServerProgram } from '../server-program.ts'
import { printJson, printLine } from '../stdio.ts'
import { facts } from '../table.ts'

const HELP = `
Defaults, then caisson.json in the data directory, then CAISSON_… in the environment, then options.

Examples:
  caisson config
  caisson config --json | jq .dataDir`

export function build(): Command {
  return new Command('config')
    .description('Print the configuration that a server started now would have.')
    .option('--data-dir <dir>', 'data directory (or CAISSON_DATA_DIR)')
    .option('--json', 'print one JSON document')
    .addHelpText('after', HELP)
    .action(async (flags: { dataDir?: string; json?: boolean }) => {
      const config = (await askServerProgram('config', flags.dataDir)) as Record<string, unknown>
      await (flags.json ? printJson(config) : printLine(facts(Object.entries(config).map(pair))))
    })
}

const pair = ([name, value]: [string, unknown]): [string, string] => [
  name,
  typeof value === 'string' ? value : JSON.stringify(value),
]
