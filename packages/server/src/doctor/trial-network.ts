import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Undo } from '../undo.ts'
import { tool } from './check.ts'

/** Addresses of a network that only the trial has; they look public, because that is what rules can open. */
export const TRIAL = { host: '1.2.0.1', allowed: '1.2.0.9', other: '1.2.0.10' } as const
const PORT = 4000

/** Listens in a network of its own, which ends with it. */
const LISTEN = `require('node:net').createServer((s) => s.end()).listen(${PORT}, '0.0.0.0', () => console.log('ready'))`

/** Tries to connect to each argument; prints "open", an error's code, or "silent" for each. */
const CONNECT = `
const tries = process.argv.slice(1).map((host) => new Promise((done) => {
  const socket = require('node:net').connect({ host, port: ${PORT}, timeout: 1000 })
  socket.on('connect', () => done('open')).on('error', (e) => done(e.code)).on('timeout', () => done('silent'))
}))
Promise.all(tries).then((said) => { console.log(JSON.stringify(said)); process.exit() })`

/** Two networks joined by a cable: one for a launcher, one that plays the internet. Gone with the stack of undo steps. */
export class TrialNetwork {
  readonly #host: number

  private constructor(host: number) {
    this.#host = host
  }

  static async make(undo: Undo, signal?: AbortSignal): Promise<TrialNetwork> {
    const host = await listenApart(undo, signal)
    const internet = await listenApart(undo, signal)
    const network = new TrialNetwork(host)
    const { allowed, other } = TRIAL
    await network.#ip(host, `link add wan type veth peer name wan netns ${internet}`, signal)
    for (const line of [`addr add ${TRIAL.host}/30 dev wan`, 'link set wan up'])
      await network.#ip(host, line, signal)
    for (const line of ['addr add 1.2.0.2/30 dev wan', 'link set wan up'])
      await network.#ip(internet, line, signal)
    for (const address of [allowed, other])
      await network.#ip(internet, `addr add ${address}/32 dev lo`, signal)
    await network.#ip(host, 'route add default via 1.2.0.2', signal)
    return network
  }

  /** What a command is to be started with, to have this network. */
  command(argv: string[]): [string, string[]] {
    return ['nsenter', [`--net=/proc/${this.#host}/ns/net`, '--', ...argv]]
  }

  /** What comes of connecting to these addresses from where a process is. */
  async connect(pid: number, addresses: string[], signal?: AbortSignal): Promise<string[]> {
    const where = [`--net=/proc/${pid}/ns/net`, '--', process.execPath, '-e', CONNECT]
    return JSON.parse(await tool('nsenter', [...where, ...addresses], signal))
  }

  async #ip(pid: number, line: string, signal?: AbortSignal): Promise<void> {
    await tool('nsenter', [`--net=/proc/${pid}/ns/net`, '--', 'ip', ...line.split(' ')], signal)
  }
}

/** @returns the pid of a process that listens in a network namespace of its own. */
async function listenApart(undo: Undo, signal?: AbortSignal): Promise<number> {
  const child = spawn('unshare', ['--net', '--', process.execPath, '-e', LISTEN], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  undo.add(() => end(child))
  await once(child.stdout, 'data', signal ? { signal } : {})
  const { pid } = child
  if (pid === undefined) throw new Error('unshare could not be started')
  await tool('nsenter', [`--net=/proc/${pid}/ns/net`, '--', 'ip', 'link', 'set', 'lo', 'up'], signal)
  return pid
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}
