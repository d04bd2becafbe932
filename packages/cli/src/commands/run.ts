import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, type ExecOptions, type ExecResult, run, Sandbox, SandboxError } from 'caisson'
import { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { UsageError } from '../failure.ts'
import { tellLearned } from '../learned.ts'
import { type CommandFlags, withCommandOptions } from '../options.ts'
import { openPorts, tellPorts } from '../ports.ts'
import { runCommand } from '../run-command.ts'
import { type SandboxFlags, sandboxOf, withSandboxOptions } from '../sandbox-options.ts'
import { note } from '../stdio.ts'

const HELP = `
Exit code: the command's own; 128+n for signal n, 124 timeout, 137 out of memory, 125 when Caisson failed,
126 when the command could not be started, 127 when there is no such command, 2 for wrong usage.

With --learn, what it used is told at the end as the shortest list of --allow that would have let it pass. The addresses
of exposed ports are told on stderr when the command has started.

Examples:
  caisson run -- echo 'Hello, World!'
  caisson run --memory 1Gi --timeout 30s -- python3 -c 'print(sum(range(100)))'
  caisson run --file /home/agent/data.csv:./data.csv -- wc -l data.csv
  cat script.py | caisson run -- python3 -
  caisson run --json -- sh -c 'exit 3' | jq .exitCode
  caisson run --learn -- git clone https://github.com/octocat/Hello-World
  caisson run --allow github.com -- git clone https://github.com/octocat/Hello-World
  caisson run --public-port 8000 -- python3 -m http.server`

/** The kernel tells of first packets in groups, some 20 ms after they have passed. */
const SETTLE_MS = 250

type Flags = SandboxFlags & CommandFlags & ConnectionOptions

export function build(tail: string[] | undefined): Command {
  const command = new Command('run').description(
    'Run one command in a new sandbox and delete the sandbox when it ends. Ctrl-C ends both.',
  )
  command.argument('[command...]', 'the program and its arguments, best after --')
  withConnection(withCommandOptions(withSandboxOptions(command)))
  return command
    .passThroughOptions(tail === undefined)
    .addHelpText('after', HELP)
    .action((words: string[], flags: Flags) => {
      const argv = [...words, ...(tail ?? [])]
      if (argv.length === 0) throw new UsageError('What is to be run? Write: caisson run -- <command>')
      const sandbox = sandboxOf(flags)
      const client = connect(flags)
      if (flags.learn) return runLearning(argv, flags, client)
      return runCommand(flags, (options) =>
        run(argv, { ...withPortsTold(options, flags, client), sandbox, client }),
      )
    })
}

/** What was used can be asked of a sandbox that is still there, so this one goes when its answer has come. */
async function runLearning(argv: string[], flags: Flags, client: Client): Promise<void> {
  let learned: string[] | undefined
  const start = async (options: ExecOptions): Promise<ExecResult> => {
    await using sandbox = await Sandbox.create({ ...sandboxOf(flags), client, signal: options.signal })
    const result = await sandbox.exec(argv, withPortsTold(options, flags, client))
    await sleep(SETTLE_MS)
    learned = await sandbox.network.learned()
    return result
  }
  await runCommand(flags, start, () => ({ learned }))
  if (learned && !flags.json) tellLearned(learned)
}

/** The ports exist as long as the command runs, so that they are told when it has started. */
function withPortsTold(options: ExecOptions, flags: Flags, client: Client): ExecOptions {
  if (!flags.port && !flags.publicPort) return options
  return {
    ...options,
    onStarted: (execution) => {
      options.onStarted?.(execution)
      tell(client, execution.sandboxId, flags.json === true).catch(explain)
    },
  }
}

async function tell(client: Client, id: string, json: boolean): Promise<void> {
  const { ports } = await client.call('listPorts', { id })
  const open = await openPorts(client, id, ports)
  if (json) process.stderr.write(`${JSON.stringify({ ports: open })}\n`)
  else tellPorts(open)
}

/** A command that has ended already has no ports to tell of. */
function explain(error: unknown): void {
  if (SandboxError.is(error, 'sandbox_ended') || SandboxError.is(error, 'sandbox_not_found')) return
  note(`where its ports are could not be learned: ${error instanceof Error ? error.message : error}`)
}
