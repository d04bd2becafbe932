import { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { UsageError } from '../failure.ts'
import { findSsh, runOrShow, type SshFlags, type SshTarget, userOf, withSshOptions } from '../ssh-target.ts'

const HELP = `
Runs this machine's scp with the server's address and key. A path in a sandbox is written sandbox:path, relative to the
user's home; a path here that holds a colon begins with ./ or /. "caisson cp" does the same without SSH.

Examples:
  caisson scp notes.txt work:                      into the home directory
  caisson scp -r work:project ./project            a directory back
  caisson scp a.txt b.txt sbx_abc123:/tmp/`

type Flags = ConnectionOptions & SshFlags & { recursive?: boolean; preserve?: boolean }

export function build(): Command {
  const command = new Command('scp').description('Copy files to, from or between sandboxes by SSH.')
  command
    .argument('<from...>', 'files here, or sandbox:path; the last one is where they go')
    .option('-r, --recursive', 'copy directories')
    .option('-p, --preserve', 'keep times and permissions')
  return withConnection(withSshOptions(command))
    .usage('[options] <from...> <to>')
    .addHelpText('after', HELP)
    .action(async (operands: string[], flags: Flags) => {
      if (flags.json && !flags.show)
        throw new UsageError('--json describes the command line; use it with --show.')
      if (operands.length < 2)
        throw new UsageError('Write what to copy, and where to: caisson scp <from> <to>')
      const remote = operands.filter((operand) => sandboxOf(operand) !== null)
      if (remote.length === 0)
        throw new UsageError('None of these is in a sandbox; write sandbox:path for one that is.')
      const target = await findSsh(connect(flags), flags)
      const { host, port, knownHosts } = target
      const args = ['-P', String(port), ...target.options, ...switches(flags, remote.length > 1), '--']
      await runOrShow('scp', [...args, ...operands.map((operand) => locate(operand, target))], flags, {
        host,
        port,
        knownHosts,
      })
    })
}

/** From sandbox to sandbox it goes through this machine, which alone has the keys. */
function switches({ recursive, preserve }: Flags, through: boolean): string[] {
  return [...(recursive ? ['-r'] : []), ...(preserve ? ['-p'] : []), ...(through ? ['-3'] : [])]
}

/** The parts of `sandbox:path`; null for a path of this machine. */
function sandboxOf(operand: string): { user: string; path: string } | null {
  const cut = operand.indexOf(':')
  if (cut < 1 || operand.slice(0, cut).includes('/')) return null
  return { user: userOf(operand.slice(0, cut)), path: operand.slice(cut + 1) }
}

function locate(operand: string, { host }: SshTarget): string {
  const inside = sandboxOf(operand)
  if (inside === null) return operand
  return `${inside.user}@${host.includes(':') ? `[${host}]` : host}:${inside.path}`
}
