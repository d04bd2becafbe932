import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { SandboxError } from 'caisson'
import { Command } from 'commander'
import { type ConnectionOptions, connectOnly, withConnection } from '../connection.ts'
import { EXIT, Exit } from '../failure.ts'
import { note, printJson, printLine } from '../stdio.ts'
import { ago, facts } from '../table.ts'

const HELP = `
Examples:
  caisson server status            exit code 1 when it does not run
  caisson server stop              sandboxes go on running; the next server finds them`

const STOP_DEADLINE_MS = 30_000

type Flags = ConnectionOptions & { json?: boolean }

export function build(): Command {
  const command = new Command('server').description('Ask for the server, or stop it. Neither starts one.')
  const status = new Command('status').description(
    'what it is, where it listens and which isolation is active',
  )
  const stop = new Command('stop').description('stop it, and wait until it has stopped')
  withConnection(status).action(showStatus)
  withConnection(stop).action(stopServer)
  return command.addCommand(status).addCommand(stop).addHelpText('after', HELP)
}

async function showStatus(flags: Flags): Promise<void> {
  const client = connectOnly(flags)
  const server = await client.call('getServer').catch((error) => absent(error, flags))
  if (flags.json) return printJson({ running: true, ...server })
  await printLine(
    facts([
      ['version', server.version],
      ['address', client.url],
      ['API and ports', server.url ?? 'not over TCP: "caisson serve --listen <host:port>" opens it'],
      ['SSH', server.ssh ? `${server.ssh.host}:${server.ssh.port}, ${server.ssh.fingerprint}` : 'off'],
      ['driver', `${server.driver}, storage ${server.storage}`],
      ['isolation', server.isolation],
      ['sandboxes', String(server.sandboxes)],
      ['data', server.dataDir],
      ['process', `${server.pid}, for ${ago(server.startedAt)}`],
    ]),
  )
}

async function absent(error: unknown, flags: Flags): Promise<never> {
  if (!SandboxError.is(error, 'server_unreachable')) throw error
  if (flags.json) await printJson({ running: false })
  else note('no server runs')
  throw new Exit(EXIT.failed)
}

async function stopServer(flags: Flags): Promise<void> {
  const client = connectOnly(flags)
  const server = await client.call('getServer').catch((error) => {
    if (SandboxError.is(error, 'server_unreachable')) return undefined
    throw error
  })
  if (server) {
    await client.call('stopServer')
    // A server waits for its clients, and our idle connection would be one of them.
    await client.close()
    await gone(client.local ? server.pid : undefined, () => client.call('getServer'))
  }
  if (flags.json) await printJson({ stopped: server !== undefined })
  else await printLine(server ? 'stopped' : 'no server ran')
}

/** A local server has stopped when its process has ended; a remote one when it does not answer. */
async function gone(pid: number | undefined, ask: () => Promise<unknown>): Promise<void> {
  const there = pid === undefined ? () => ask().then(yes, no) : async () => isAlive(pid)
  for (const end = Date.now() + STOP_DEADLINE_MS; Date.now() < end; await sleep(20))
    if (!(await there())) return
  throw new Error(`The server was told to stop and has not done so in ${STOP_DEADLINE_MS / 1000} s.`)
}

const yes = () => true
const no = () => false

/** Whether a process runs: one that has ended and waits for its parent's notice does not. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^\d+ \(.*\) Z /s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // Another user's process lives; so does one of a system without /proc, if it could be signalled.
    return code === 'EPERM' || (code === 'ENOENT' && process.platform !== 'linux')
  }
}
