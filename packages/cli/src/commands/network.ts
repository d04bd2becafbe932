import { Command } from 'commander'
import { explaining } from './network/explain.ts'
import { history } from './network/history.ts'
import { rules } from './network/rules.ts'

const HELP = `
Entries are addresses ("1.2.3.4"), ranges ("1.2.0.0/16"), names ("example.com"), wildcards ("*.example.com") and names
with a port ("github.com:22"); the most specific one decides. Private and reserved addresses stay unreachable.

Examples:
  caisson network show work
  caisson network set work --allow pypi.org --allow '*.pythonhosted.org'
  caisson network log work -f
  caisson network explain work github.com:443`

export function build(): Command {
  const command = new Command('network').description(
    'What a sandbox may reach, what it has reached, and what was refused.',
  )
  for (const sub of [...rules(), ...history(), explaining()]) command.addCommand(sub)
  return command.addHelpText('after', HELP)
}
