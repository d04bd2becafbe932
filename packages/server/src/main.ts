import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { SandboxError } from '@caisson/protocol/errors'
import { type Config, loadConfig } from './config.ts'
import { createLog } from './log.ts'

const USAGE =
  'usage: main.ts serve|doctor|config [--data-dir DIR] [--listen HOST:PORT|off] [--public-url URL] [--preview-domain NAME] [--tls-cert FILE --tls-key FILE] [--ssh-listen HOST:PORT|off] [--driver NAME] [--storage NAME] [--log-level LEVEL]'

/** The process behind `caisson serve`, `doctor` and `config`. Exit codes: 0 done, 1 failed, 2 wrong usage. */
async function main(argv: string[]): Promise<number> {
  const { command, flags } = parse(argv)
  const config = loadConfig(flags)
  if (command === 'config') return print(config)
  if (command === 'doctor') {
    const { runDoctor } = await import('./doctor/index.ts')
    const report = await runDoctor(config)
    print(report)
    return report.ok ? 0 : 1
  }
  const { startServer } = await import('./server.ts')
  const log = createLog(config.logLevel)
  const server = await startServer(config, log)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void server.stop())
  await server.stopped
  return 0
}

function parse(argv: string[]): { command: string; flags: Partial<Config> } {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      'data-dir': { type: 'string' },
      listen: { type: 'string' },
      'public-url': { type: 'string' },
      'preview-domain': { type: 'string' },
      'tls-cert': { type: 'string' },
      'tls-key': { type: 'string' },
      'ssh-listen': { type: 'string' },
      driver: { type: 'string' },
      storage: { type: 'string' },
      'log-level': { type: 'string' },
    },
  })
  const command = positionals[0] ?? ''
  if (!['serve', 'doctor', 'config'].includes(command) || positionals.length > 1) throw new TypeError(USAGE)
  const { 'tls-cert': cert, 'tls-key': key } = values
  if ((cert === undefined) !== (key === undefined))
    throw new TypeError('--tls-cert and --tls-key go together')
  const named = {
    dataDir: values['data-dir'],
    listen: values.listen,
    publicUrl: values['public-url'],
    previewDomain: values['preview-domain'],
    tls: cert && { cert: resolve(cert), key: resolve(key as string) },
    sshListen: values['ssh-listen'],
    driver: values.driver,
    storage: values.storage,
    logLevel: values['log-level'],
  }
  return {
    command,
    flags: Object.fromEntries(
      Object.entries(named).filter(([, value]) => value !== undefined),
    ) as Partial<Config>,
  }
}

function print(value: unknown): number {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
  return 0
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const known = error instanceof SandboxError
  process.stderr.write(
    `${known || error instanceof TypeError ? (error as Error).message : (error as Error).stack}\n`,
  )
  process.exitCode = error instanceof TypeError ? 2 : 1
}
