import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { resolve } from 'node:path'
import { localDataDir } from 'caisson'
import { Command, Option } from 'commander'
import { EXIT } from '../failure.ts'
import { serveArguments, startInBackground } from '../server-process.ts'
import { printJson, printLine } from '../stdio.ts'

const HELP = `
It answers at a unix socket of the data directory, which only its owner can open, and over TCP at 127.0.0.1:4700 unless
--listen says otherwise. Over TCP every request to the API needs a key ("caisson keys create" makes one), and exposed
ports of sandboxes are at <port>-<id>.localhost. Sandboxes go on when the server stops; the next one finds them.

Examples:
  caisson serve                               in the foreground, Ctrl-C stops it
  caisson serve --background
  caisson serve --listen off                  the unix socket alone
  caisson serve --listen 0.0.0.0:443 --tls-cert fullchain.pem --tls-key privkey.pem \\
    --public-url https://box.example.com --preview-domain box.example.com`

interface Flags {
  background?: boolean
  dataDir?: string
  listen?: string
  publicUrl?: string
  previewDomain?: string
  tlsCert?: string
  tlsKey?: string
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
    .option('--listen <host:port|off>', 'where the API and exposed ports are reached over TCP')
    .option('--public-url <url>', 'how clients reach that, such as through a reverse proxy')
    .option('--preview-domain <name>', 'exposed ports are <port>-<id>.<name>; default: localhost')
    .option('--tls-cert <file>', 'certificate chain in PEM: speak TLS over TCP')
    .option('--tls-key <file>', 'its key in PEM')
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

/** Every flag of the server itself; ours only say how it is started. */
const serverFlags = ({ background: _b, dataDir: _d, quiet: _q, json: _j, ...flags }: Flags): string[] => {
  // It may be started in another directory.
  const files = { tlsCert: absolute(flags.tlsCert), tlsKey: absolute(flags.tlsKey) }
  return Object.entries({ ...flags, ...files }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, value],
  )
}

const absolute = (file: string | undefined) => (file === undefined ? undefined : resolve(file))
