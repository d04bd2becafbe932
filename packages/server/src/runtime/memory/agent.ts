import { randomBytes } from 'node:crypto'
import { type Duplex, duplexPair } from 'node:stream'
import {
  encodeFrame,
  type Fields,
  FrameError,
  FrameParser,
  fields,
  parseBulk,
  parseFields,
} from '@caisson/protocol/frame-codec'
import { Field, type Frame, FrameType, LIMITS, PROTOCOL_GENERATION } from '@caisson/protocol/frames'
import { Errno } from './errno.ts'
import { MemoryExecution, type Wire } from './execution.ts'
import { serveFile } from './files.ts'
import type { MemoryDirectory } from './nodes.ts'
import { PROGRAMS } from './programs.ts'
import { absolute, type Files } from './request.ts'
import { Stream, type Transfer } from './stream.ts'
import { MemoryTree } from './tree.ts'
import { findUser, USERS } from './users.ts'

/**
 * The agent's side of the protocol without processes and without a file system: built-in programs over files in
 * memory. It keeps the promises of the real one: one connection at a time, output held until it is acknowledged,
 * endings held until FORGET.
 */
export class MemoryAgent implements Wire {
  readonly #nonce = randomBytes(16)
  readonly #tree: MemoryTree
  readonly #files: Files
  readonly #executions = new Map<string, MemoryExecution>()
  readonly #byStream = new Map<number, MemoryExecution>()
  readonly #transfers = new Map<number, Transfer>()
  #channel: Duplex | null = null
  #lastPid = 1
  /** While it is frozen: resolves when it is not. */
  #frozen: PromiseWithResolvers<void> | null = null

  constructor(tree = newTree()) {
    this.#tree = tree
    this.#files = { tree, uploads: new Map(), ports: new Map() }
  }

  mount(path: string, directory: MemoryDirectory, readOnly: boolean): void {
    this.#tree.mount(path, directory, readOnly)
  }

  /** Programs that run now. */
  get running(): number {
    return [...this.#executions.values()].filter((execution) => execution.running).length
  }

  /** A new connection; it replaces an older one. */
  connect(): Duplex {
    this.disconnect()
    const [host, agent] = duplexPair()
    const parser = new FrameParser()
    agent.on('data', (chunk) => {
      if (this.#channel === agent) this.#receive(parser, chunk)
    })
    // A pair of streams does not know of the other's end by itself.
    agent.on('end', () => this.#drop(agent))
    agent.on('close', () => host.destroy())
    host.on('close', () => this.#drop(agent))
    this.#channel = agent
    const hello = fields().u64(Field.GENERATION, PROTOCOL_GENERATION).bytes(Field.NONCE, this.#nonce)
    this.send(
      encodeFrame(FrameType.HELLO, 0, hello.strings(Field.EXECUTION, this.#executions.keys()).encode()),
    )
    return host
  }

  get frozen(): boolean {
    return this.#frozen !== null
  }

  /** No program goes on and nothing is answered until `thaw`. */
  freeze(): void {
    this.#frozen ??= Promise.withResolvers()
    this.#channel?.pause()
  }

  thaw(): void {
    this.#frozen?.resolve()
    this.#frozen = null
    this.#channel?.resume()
  }

  /** Another one with the same files, in which nothing runs. */
  copy(): MemoryAgent {
    return new MemoryAgent(this.#tree.copy())
  }

  disconnect(): void {
    if (this.#channel !== null) this.#drop(this.#channel)
  }

  /** Ends every program and the connection. */
  kill(): void {
    for (const execution of this.#executions.values()) this.#end(execution)
    this.disconnect()
  }

  /** Ends one program as the kernel does; false when it does not run. */
  killExecution(id: string): boolean {
    return this.#executions.get(id)?.signal(9) ?? false
  }

  send(frame: Uint8Array, bytes?: Uint8Array): void {
    this.#channel?.write(frame)
    if (bytes !== undefined) this.#channel?.write(bytes)
  }

  #end(execution: MemoryExecution): void {
    execution.detach()
    execution.signal(9)
  }

  #drop(channel: Duplex): void {
    channel.destroy()
    if (this.#channel !== channel) return
    this.#channel = null
    for (const execution of this.#byStream.values()) execution.detach()
    this.#byStream.clear()
    for (const stream of this.#transfers.keys()) this.#release(stream)
  }

  #receive(parser: FrameParser, chunk: Uint8Array): void {
    try {
      for (const frame of parser.push(chunk)) this.#serve(frame)
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      this.disconnect()
    }
  }

  #serve(frame: Frame): void {
    try {
      const execution = this.#byStream.get(frame.stream)
      const transfer = this.#transfers.get(frame.stream)
      if (execution !== undefined) this.#serveExecution(execution, frame)
      else if (transfer !== undefined) this.#serveTransfer(transfer, frame)
      else this.#serveRequest(frame)
    } catch (error) {
      if (!(error instanceof Errno)) throw error
      this.#release(frame.stream)
      const answer = fields().u64(Field.ERRNO, error.errno).string(Field.MESSAGE, error.message)
      this.send(encodeFrame(FrameType.ERROR, frame.stream, answer.encode()))
    }
  }

  #serveRequest(frame: Frame): void {
    // What comes late for a stream that is over is no request.
    const late: FrameType[] = [FrameType.HELLO, FrameType.ACK, FrameType.STDIN, FrameType.DATA]
    const ignored: FrameType[] = [
      ...late,
      FrameType.ENTRY,
      FrameType.END,
      FrameType.CANCEL,
      FrameType.FORGET,
      FrameType.STDIN_CLOSE,
      FrameType.RESIZE,
    ]
    if (ignored.includes(frame.type as FrameType)) return
    const request = parseFields(frame.payload)
    if (frame.type === FrameType.START) this.#start(frame.stream, request)
    else if (frame.type === FrameType.ATTACH) this.#attach(frame.stream, request)
    else if (frame.type === FrameType.SIGNAL) throw new Errno('ESRCH', 'signal')
    else {
      const stream = new Stream(this, frame.stream, () => this.#release(frame.stream))
      const transfer = serveFile(this.#files, stream, frame.type, request)
      if (transfer !== null && !stream.over) this.#transfers.set(frame.stream, transfer)
    }
  }

  #start(stream: number, request: Fields): void {
    const id = request.string(Field.ID) ?? ''
    const held = this.#executions.get(id)
    if (held !== undefined) {
      this.#follow(held, stream, request.u64(Field.OFFSET) ?? 0)
      return
    }
    const [name = '', ...args] = request.strings(Field.ARG)
    const user = findUser(request.string(Field.USER))
    const cwd = absolute(request.string(Field.CWD) ?? user.home, user.home)
    if (this.#executions.size >= LIMITS.MAX_EXECUTIONS)
      throw new Errno('EAGAIN', 'start: too many executions are held')
    this.#enter(cwd)
    const program = Object.hasOwn(PROGRAMS, name) ? PROGRAMS[name] : undefined
    if (program === undefined) throw new Errno('ENOENT', `exec ${name}`)
    const hasStdin = request.u64(Field.STDIN) === 1 || request.u64(Field.TTY_COLS) !== undefined
    const execution = new MemoryExecution(id, ++this.#lastPid, hasStdin)
    this.#executions.set(id, execution)
    this.#follow(execution, stream, 0)
    const env = environment(request, user.home, user.name)
    execution.run(program, args, {
      env,
      cwd,
      readFile: (path) => this.#readFile(absolute(path, cwd)),
      ports: this.#files.ports,
      thawed: async () => this.#frozen?.promise,
    })
  }

  #attach(stream: number, request: Fields): void {
    const id = request.string(Field.ID) ?? ''
    const execution = this.#executions.get(id)
    if (execution === undefined) throw new Errno('ENOENT', `attach ${id}`)
    this.#follow(execution, stream, request.u64(Field.OFFSET) ?? 0)
  }

  #follow(execution: MemoryExecution, stream: number, offset: number): void {
    if (!execution.follow(this, stream, offset))
      throw new Errno('EINVAL', 'attach: the output ends before that offset')
    for (const [other, known] of this.#byStream) if (known === execution) this.#byStream.delete(other)
    this.#byStream.set(stream, execution)
  }

  #serveExecution(execution: MemoryExecution, frame: Frame): void {
    switch (frame.type) {
      case FrameType.ACK:
        if (!execution.acknowledge(parseBulk(frame.payload).offset)) throw new FrameError('Not sent')
        break
      case FrameType.STDIN: {
        const { offset, bytes } = parseBulk(frame.payload)
        if (!execution.feed(offset, bytes)) throw new FrameError('Beyond the window')
        break
      }
      case FrameType.STDIN_CLOSE:
        execution.closeStdin()
        break
      case FrameType.SIGNAL:
        if (!execution.signal(parseFields(frame.payload).u64(Field.SIGNAL) ?? 0))
          throw new Errno('ESRCH', 'signal')
        this.send(encodeFrame(FrameType.OK, frame.stream))
        break
      case FrameType.FORGET:
        execution.forget()
        this.#executions.delete(execution.id)
        this.#byStream.delete(frame.stream)
        break
      case FrameType.RESIZE:
        break
      default:
        throw new Errno('ENOSYS', `request ${frame.type}`)
    }
  }

  #serveTransfer(transfer: Transfer, frame: Frame): void {
    if (frame.type === FrameType.CANCEL) this.#release(frame.stream)
    else if (!transfer.receive(frame)) throw new FrameError('Not part of a transfer')
  }

  /** A transfer is over. */
  #release(stream: number): void {
    const transfer = this.#transfers.get(stream)
    this.#transfers.delete(stream)
    transfer?.close?.()
  }

  #enter(cwd: string): void {
    try {
      this.#tree.directory(cwd)
    } catch (error) {
      if (error instanceof Errno) error.message = `cwd ${cwd}`
      throw error
    }
  }

  #readFile(path: string): Uint8Array {
    const node = this.#tree.find(path)
    if (node.type !== 'file') throw new Errno('EISDIR', path)
    return node.data
  }
}

/** What every sandbox begins with. */
function newTree(): MemoryTree {
  const tree = new MemoryTree()
  for (const { home, uid } of USERS) tree.mkdir(home, 0o755, uid, true)
  tree.mkdir('/tmp', 0o1777, 0, false)
  return tree
}

function environment(request: Fields, home: string, user: string): Map<string, string> {
  const env = new Map([
    ['HOME', home],
    ['USER', user],
    ['LOGNAME', user],
    ['SHELL', '/bin/sh'],
    ['PATH', '/usr/bin:/bin'],
  ])
  for (const entry of request.strings(Field.ENV)) {
    const at = entry.indexOf('=')
    env.set(entry.slice(0, at), entry.slice(at + 1))
  }
  return env
}
