import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { findMarked, isAlive, type ProcessId } from './processes.ts'

const SUFFIX = '.agent.json'

/**
 * `run/` of a data directory, as far as it belongs to this driver: per sandbox a socket `<id>.sock`, and a record
 * `<id>.agent.json` of the process behind it, which is there before the process is.
 */
export class RunDirectory {
  readonly #fd: number

  constructor(path: string) {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    this.#fd = openSync(path, 'r')
  }

  /** A name for the socket that fits the 107 bytes of a socket address however deep the data directory is. */
  socket(id: string): string {
    return this.#path(`${id}.sock`)
  }

  /** The name that the agent goes by, so that it is found even if the server dies before it has noted the process. */
  marker(id: string): string {
    return `caisson-agent:${id}`
  }

  ids(): string[] {
    const names = readdirSync(this.#path('.'))
    return names.filter((name) => name.endsWith(SUFFIX)).map((name) => name.slice(0, -SUFFIX.length))
  }

  /** The agent of a sandbox, when it runs. */
  find(id: string): ProcessId | null {
    const noted = this.#read(id)
    if (noted !== undefined && noted !== null) return isAlive(noted) ? noted : null
    return noted === null ? (findMarked('cmdline', this.marker(id))[0] ?? null) : null
  }

  /** @param agent null: about to be started. */
  note(id: string, agent: ProcessId | null): void {
    const path = this.#path(`${id}${SUFFIX}`)
    writeFileSync(`${path}.new`, JSON.stringify(agent), { mode: 0o600 })
    renameSync(`${path}.new`, path)
  }

  /** Listens on the sandbox's socket. Closing the server leaves the socket, for the process that inherited it. */
  async listen(id: string): Promise<Server> {
    const path = this.#path(`.${id}.sock`)
    rmSync(path, { force: true })
    const server = createServer()
    const listening = Promise.withResolvers<void>()
    server.once('error', listening.reject)
    server.listen(path, listening.resolve)
    await listening.promise
    chmodSync(path, 0o600)
    // Closing a server unlinks the name that it was bound to: by then the socket has another.
    renameSync(path, this.socket(id))
    return server
  }

  /** Removes what there is of a sandbox. */
  remove(id: string): void {
    for (const name of [`.${id}.sock`, `${id}.sock`, `${id}${SUFFIX}.new`, `${id}${SUFFIX}`])
      rmSync(this.#path(name), { force: true })
  }

  close(): void {
    closeSync(this.#fd)
  }

  /** undefined: no record; null: a record of an agent that was about to be started. */
  #read(id: string): ProcessId | null | undefined {
    try {
      return JSON.parse(readFileSync(this.#path(`${id}${SUFFIX}`), 'utf8'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  #path(name: string): string {
    return `/proc/self/fd/${this.#fd}/${name}`
  }
}
