import { spawn } from 'node:child_process'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { constants, homedir } from 'node:os'
import { join } from 'node:path'
import type { Client } from 'caisson'
import type { Command } from 'commander'
import { EXIT, LocalFailure, UsageError } from './failure.ts'
import { quote } from './quote.ts'
import { note, printJson, printLine } from './stdio.ts'

/** Where the SSH server of a Caisson server is reached, and the options that make OpenSSH trust it and nothing else. */
export interface SshTarget {
  host: string
  port: number
  /** A file that holds the server's key, as the server's API told it. */
  knownHosts: string
  options: string[]
}

export interface SshFlags {
  identity?: string
  show?: boolean
  json?: boolean
}

export function withSshOptions(command: Command): Command {
  return command
    .option('-i, --identity <file>', 'private key to use (default: what ssh finds)')
    .option('--show', 'print the command line instead of running it; with --json, an object')
}

/**
 * Asks the server for its address and key. Nobody is asked whether to trust the key: the API has told it, and the file
 * is written anew each time.
 */
export async function findSsh(client: Client, flags: SshFlags): Promise<SshTarget> {
  const { ssh } = await client.call('getServer')
  if (ssh === null)
    throw new LocalFailure(
      'The server has no SSH: it is off, or its address was taken when the server started. Set CAISSON_SSH_LISTEN=host:port for the server and start it again.',
    )
  const host = hostOf(ssh.host, client)
  // What a server says becomes arguments of a program, so that it must be what it should be.
  if (!/^[A-Za-z0-9][\w.:%-]*$|^::1$/.test(host) || !/^[a-z0-9-]+ [A-Za-z0-9+/=]+$/.test(ssh.hostKey))
    throw new LocalFailure('The server tells an SSH address or key that is not one.')
  const alias = `caisson-${ssh.fingerprint
    .replace(/^SHA256:/, '')
    .replace(/\W/g, '')
    .slice(0, 20)
    .toLowerCase()}`
  const knownHosts = writeKnownHosts(alias, ssh.hostKey)
  await warnWithoutKeys(client)
  const { identity } = flags
  const options = [
    `HostKeyAlias=${alias}`,
    `UserKnownHostsFile="${knownHosts.replaceAll('%', '%%')}"`,
    'GlobalKnownHostsFile=/dev/null',
    'StrictHostKeyChecking=yes',
    'UpdateHostKeys=no',
    ...(identity === undefined ? [] : ['IdentitiesOnly=yes']),
  ].flatMap((option) => ['-o', option])
  return {
    host,
    port: ssh.port,
    knownHosts,
    options: [...options, ...(identity === undefined ? [] : ['-i', identity])],
  }
}

/** A server elsewhere that listens on all addresses, or is reached through a tunnel, is where its API is. */
function hostOf(host: string, client: Client): string {
  const wildcard = host === '0.0.0.0' || host === '::'
  const loopback = /^(127\.|::1$|localhost$)/.test(host)
  if (!wildcard && !loopback) return host
  if (client.local) return wildcard ? '127.0.0.1' : host
  return new URL(client.url).hostname.replace(/^\[|\]$/g, '')
}

function writeKnownHosts(alias: string, hostKey: string): string {
  const state = process.env.XDG_STATE_HOME || join(homedir(), '.local/state')
  const directory = join(state, 'caisson/ssh')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const file = join(directory, alias)
  const temporary = `${file}.${process.pid}`
  writeFileSync(temporary, `${alias} ${hostKey}\n`, { mode: 0o600 })
  renameSync(temporary, file)
  return file
}

/** Whoever may not list the keys is not told. */
async function warnWithoutKeys(client: Client): Promise<void> {
  const answer = await client.call('listSshKeys').catch(() => null)
  if (answer?.keys.length === 0) note('no SSH key was added yet; "caisson ssh-keys add" adds yours')
}

/** The user name that stands for a sandbox. @throws UsageError */
export function userOf(sandbox: string): string {
  if (/^[a-z0-9][a-z0-9_-]{0,63}$/.test(sandbox)) return sandbox
  throw new UsageError(`"${sandbox}" is no id or name of a sandbox.`)
}

/** Runs the program with our terminal, and ends with its exit code; with `--show`, prints how it would be run. */
export async function runOrShow(
  program: string,
  args: string[],
  flags: SshFlags,
  told: Record<string, unknown>,
): Promise<void> {
  if (!flags.show) {
    process.exitCode = await run(program, args)
    return
  }
  const line = [program, ...args].map(quote).join(' ')
  await (flags.json ? printJson({ program, args, line, ...told }) : printLine(line))
}

/** Ctrl-C is the program's to deal with. */
async function run(program: string, args: string[]): Promise<number> {
  const ignore = () => {}
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) process.on(signal, ignore)
  const child = spawn(program, args, { stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const missing = `${program} is not installed here; it comes with OpenSSH (Debian: openssh-client).`
      reject(cause.code === 'ENOENT' ? new LocalFailure(missing, { cause }) : cause)
    })
    child.once('exit', (code, signal) => {
      resolve(code ?? EXIT.signal + (signal === null ? 0 : constants.signals[signal]))
    })
  })
}
