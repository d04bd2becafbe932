import { Execution, SandboxError } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../connection.ts'
import { exitCodeOf, UsageError } from '../failure.ts'
import { wholeNumber } from '../options.ts'
import { createPrinter } from '../output.ts'
import { note, printJson } from '../stdio.ts'
import { joinTerminal } from '../terminal.ts'

const HELP = `
Its exit code becomes yours. Ctrl-C stops following; the command goes on. With -t, Ctrl-C goes to the command, and
Ctrl-P Ctrl-Q leaves it running. Several may attach at once: each sees everything, and each may type.

Examples:
  caisson attach exe_abc123                 everything from the first byte, then what comes
  caisson attach exe_abc123 --offset 1024   from byte 1024 of stdout and stderr together
  caisson attach exe_abc123 -it --tail 4096 its terminal, after a look at what was drawn last
  echo yes | caisson attach exe_abc123 -i   also sends what is piped; its stdin stays open for others`

interface Flags extends CommonFlags {
  offset?: number
  tail?: number
  interactive?: boolean
  tty?: boolean
  closeStdin?: boolean
  quiet?: boolean
  timestamps?: boolean
}

export function build(): Command {
  const command = new Command('attach').description('Follow an execution until it ends, or join it.')
  command
    .argument('<execution>', 'id')
    .option('--offset <bytes>', 'begin at this byte of the output', wholeNumber)
    .option('--tail <bytes>', 'begin so many bytes before the end', wholeNumber)
    .option('-i, --interactive', 'send our stdin to it')
    .option('-t, --tty', 'join its terminal, keys and size included')
    .option('--close-stdin', 'with -i: close its stdin when ours has ended')
    .option('--quiet', 'do not print the output')
    .option('--timestamps', 'put the time before each line')
  return withConnection(command).addHelpText('after', HELP).action(attach)
}

async function attach(id: string, flags: Flags): Promise<void> {
  const { tail, offset = 0 } = flags
  if (tail !== undefined && flags.offset !== undefined)
    throw new UsageError('Give --offset or --tail, not both.')
  const client = connect(flags)
  const info = await client.call('getExecution', { execution: id })
  const execution = new Execution(client, info, null, tail === undefined ? { offset } : { tail })
  if (flags.tty) return join(execution, flags)
  const input = flags.interactive ? feed(execution, flags.closeStdin === true) : undefined
  const onOutput = createPrinter(flags)
  const ended = execution.wait(flags.json ? { onOutput } : { onOutput, maxBuffer: 0 })
  // Input that is refused is told at once; input that is over does not end the following.
  const result = await (input ? Promise.race([ended, input.then(() => ended)]) : ended)
  if (flags.json) await printJson(result)
  process.exitCode = exitCodeOf(result)
}

async function join(execution: Execution, flags: Flags): Promise<void> {
  if (flags.json || flags.quiet || flags.timestamps)
    throw new UsageError(
      'A terminal is shown as it is: -t goes with none of --json, --quiet and --timestamps.',
    )
  if (!execution.info.tty)
    throw new UsageError(`${execution.id} was started without a terminal; leave out -t.`)
  const leaving = new AbortController()
  const { signal } = leaving
  try {
    await joinTerminal(execution, { signal, tail: flags.tail, onLeave: () => leaving.abort() })
  } catch (error) {
    if (!signal.aborted) throw error
    return note(`left ${execution.id}, which goes on`)
  }
  if (signal.aborted) return note(`left ${execution.id}, which goes on`)
  process.exitCode = exitCodeOf(await execution.refresh())
}

/** Sends our stdin piece by piece. A command that ends before has no use for the rest. */
async function feed(execution: Execution, close: boolean): Promise<void> {
  try {
    for await (const data of process.stdin) await execution.stdin.write(data)
    if (close) await execution.stdin.end()
  } catch (error) {
    if (!SandboxError.is(error, 'execution_ended')) throw error
  }
}
