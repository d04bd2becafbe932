import type { NetworkExplanation } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../../connection.ts'
import { EXIT, Exit } from '../../failure.ts'
import { printJson, printLine } from '../../stdio.ts'
import { printable, styled } from '../../table.ts'

const HELP = `
Nothing is connected to; a name is resolved, and its addresses are judged one by one. The exit code is 0 whatever the
answer; with --exit-code it is 0 for allowed and 3 for refused.

Examples:
  caisson network explain work github.com
  caisson network explain work github.com:22
  caisson network explain work 10.0.0.1:80
  caisson network explain work '[2001:db8::1]:443'
  caisson network explain --exit-code work pypi.org:443 >/dev/null && echo yes`

/** `explain`. */
export function explaining(): Command {
  const explain = new Command('explain')
    .alias('why')
    .description('whether it may reach a host, and why')
    .argument('<sandbox>', 'id or name')
    .argument('<host[:port]>', 'name or address')
    .option('--exit-code', 'exit with 3 when it is refused')
    .addHelpText('after', HELP)
  return withConnection(explain).action(
    async (id: string, destination: string, flags: CommonFlags & { exitCode?: boolean }) => {
      const answer = await connect(flags).call('explainNetwork', { id, destination })
      await (flags.json ? printJson(answer) : printLine(describe(answer)))
      if (flags.exitCode && answer.verdict === 'refused') throw new Exit(EXIT.refused)
    },
  )
}

function describe({ destination, verdict, rule, message, addresses }: NetworkExplanation): string {
  const colour = verdict === 'allowed' ? 'green' : 'red'
  return [
    `${printable(destination)}: ${styled(colour, verdict)} by "${printable(rule)}"`,
    printable(message),
    ...addresses.map((each) => printable(`  ${each.address}: ${each.verdict} by "${each.rule}"`)),
  ].join('\n')
}
