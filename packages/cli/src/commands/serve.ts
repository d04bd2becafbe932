import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { localDataDir } from 'caisson'
import { Command, Option } from 'commander'
import { EXIT } from '../failure.ts'
import { serveArguments, startInBackground } from '../server-process.ts'
import { printJson, printLine } from '../stdio.ts'

const HELP = `
Without --listen it answers at a unix socket of the data directory, which only its owner can open. With --listen every
request needs a key: "caisson keys create" makes one. Sandboxes go on when the server stops; the next one finds them.

Examples:
  caisson serve                               in the foreground, Ctrl-C stops it
  caisson serve --background
  caisson serve --listen 127.0.0.1:7330`

interface Flags {
  background?: boolean
  dataDir?: string
  listen?: string
  sshListen?: string
  driver?: string
  storage?: string
  logLevel?: string
  quiet?: boolean
  json?: boolean
}

export function build(): Command {
  return new Command('serve')
    .description('Run the server.')
    .option('--background', 'return when it is ready; its log is server.log in the data directory')
    .option('--data-dir <dir>', 'where everything is kept (or CAISSON_DATA_DIR)')
    .option('--listen <host:port>', 'also answer over TCP, to those with a key')
    .option('--ssh-listen <host:port|off>', 'where SSH comes in')
    .addOption(new Option('--driver <name>', 'how sandboxes run').choices(['oci', 'local', 'memory']))
    .addOption(
      new Option('--storage <name>', 'how their files are kept').choices(['overlay', 'copy', 'memory']),
    )
    .option('--log-level <level>', 'fatal, error, warn, info, debug, trace or silent')
    .option('--quiet', 'with --background: say nothing')
    .option('--json', 'with --background: print one JSON document')
    .addHelpText('after', HELP)
    .action((flags: Flags) => (flags.background ? background(flags) : foreground(flags)))
}

async function background(flags: Flags): Promise<void> {
  const dataDir = flags.dataDir ?? localDataDir()
  const answer = { dataDir, ...(await startInBackground(dataDir, serverFlags(flags))) }
  if (flags.quiet) return
  if (flags.json) await printJson(answer)
  else await printLine(answer.started ? `started (log: ${answer.log})` : 'it runs already')
}

/** The server is a process of its own; its ending is ours. */
async function foreground(flags: Flags): Promise<void> {
  const dataDir = flags.dataDir ? ['--data-dir', flags.dataDir] : []
  const args = serveArguments([...dataDir, ...serverFlags(flags)])
  const child = spawn(process.execPath, args, { stdio: 'inherit' })
  // Ctrl-C at a terminal reaches the child by itself; a signal to this process alone is passed on.
  const passOn = (signal: NodeJS.Signals) => child.kill(signal)
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, passOn)
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) =>
      resolve(code ?? (signal ? EXIT.signal + constants.signals[signal] : EXIT.failed)),
    )
  })
}

const serverFlags = ({ listen, sshListen, driver, storage, logLevel }: Flags): string[] =>
  Object.entries({ listen, 'ssh-listen': sshListen, driver, storage, 'log-level': logLevel }).flatMap(
    ([name, value]) => (value === undefined ? [] : [`--${name}`, value]),
  )
