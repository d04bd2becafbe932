import { constants } from 'node:os'
import { encodeBulkHead, encodeFrame, fields } from '@caisson/protocol/frame-codec'
import { Field, Flag, FrameType, LIMITS } from '@caisson/protocol/frames'
import type { Program, ProgramIo } from './programs.ts'

/** Where an execution's frames go. */
export interface Wire {
  send(frame: Uint8Array, bytes?: Uint8Array): void
}

/** What a program runs in. */
type Surroundings = Pick<ProgramIo, 'env' | 'cwd' | 'readFile' | 'ports'> & {
  /** Resolves when the sandbox is not frozen. */
  thawed(): Promise<void>
}

/** Thrown into a program that was killed. */
class Killed extends Error {}

interface Held {
  offset: number
  flags: number
  data: Uint8Array
}

/** One running program of a memory sandbox, and what is kept of it for the host until FORGET. */
export class MemoryExecution {
  readonly id: string
  readonly pid: number
  readonly #stop = new AbortController()
  readonly #ignored = new Set<number>()
  readonly #stdin: Uint8Array[] = []
  #stdinOpen: boolean
  #stdinReceived = 0
  #stdinTaken = 0
  #held: Held[] = []
  #acknowledged = 0
  #written = 0
  #sent = 0
  #exit: Uint8Array | null = null
  #wire: Wire | null = null
  #stream = 0
  #forgotten = false
  #wake = Promise.withResolvers<void>()

  constructor(id: string, pid: number, stdin: boolean) {
    this.id = id
    this.pid = pid
    this.#stdinOpen = stdin
  }

  get running(): boolean {
    return this.#exit === null
  }

  run(program: Program, args: string[], world: Surroundings): void {
    const { thawed } = world
    const io: ProgramIo = {
      ...world,
      write: async (data, stream = 'stdout') => {
        await this.#unlessKilled(thawed())
        await this.#write(data, stream === 'stderr' ? Flag.STDERR : 0)
      },
      read: () => this.#read(),
      sleep: async (milliseconds) => {
        await this.#sleep(milliseconds)
        await this.#unlessKilled(thawed())
      },
      ignore: (signals) => {
        for (const name of signals) this.#ignored.add(numberOf(name))
      },
      die: (signal) => {
        this.signal(numberOf(signal))
        throw new Killed()
      },
    }
    void (async () => program(io, args))().then(
      (code) => this.#end(Field.EXIT_CODE, code),
      (error) => {
        if (!(error instanceof Killed)) this.#end(Field.EXIT_CODE, 1)
      },
    )
  }

  /** Sends to a stream from now on: what is held from `offset` on, and the ending. */
  follow(wire: Wire, stream: number, offset: number): boolean {
    if (offset > this.#written) return false
    this.#wire = wire
    this.#stream = stream
    const answer = fields().u64(Field.PID, this.pid).u64(Field.OFFSET, this.#stdinReceived)
    this.#send(FrameType.STARTED, answer.encode())
    if (offset > this.#acknowledged) this.acknowledge(offset)
    this.#sent = this.#acknowledged
    if (this.#stdinTaken > 0) this.#sendAck()
    for (const held of this.#held) this.#sendHeld(held)
    this.#sendEnding()
    return true
  }

  detach(): void {
    this.#wire = null
  }

  /** @returns false when that was never sent. */
  acknowledge(offset: number): boolean {
    if (offset > this.#written) return false
    this.#acknowledged = Math.max(this.#acknowledged, offset)
    while (this.#held.length > 0) {
      const first = this.#held[0] as Held
      const skip = this.#acknowledged - first.offset
      if (skip < first.data.length) {
        if (skip > 0)
          this.#held[0] = { ...first, offset: this.#acknowledged, data: first.data.subarray(skip) }
        break
      }
      this.#held.shift()
    }
    this.#notify()
    return true
  }

  /** @returns false when the bytes leave the window or do not continue what came before. */
  feed(offset: number, data: Uint8Array): boolean {
    const fresh = data.subarray(Math.max(0, this.#stdinReceived - offset))
    const end = this.#stdinReceived + fresh.length
    if (offset > this.#stdinReceived || end - this.#stdinTaken > LIMITS.WINDOW) return false
    this.#stdinReceived = end
    if (this.#stdinOpen && this.running) this.#stdin.push(fresh.slice())
    else this.#take(fresh.length)
    this.#notify()
    return true
  }

  closeStdin(): void {
    this.#stdinOpen = false
    this.#notify()
  }

  /** @returns false when the program has ended. */
  signal(number: number): boolean {
    if (!this.running) return false
    const ignored = this.#ignored.has(number) && number !== constants.signals.SIGKILL
    if (!ignored && !HARMLESS.has(number)) this.#end(Field.SIGNAL, number)
    return true
  }

  forget(): void {
    this.#forgotten = true
    this.#wire = null
    this.#held = []
    this.#notify()
  }

  async #write(data: string | Uint8Array, flags: number): Promise<void> {
    const bytes = Buffer.from(data)
    for (let at = 0; at < bytes.length; at += LIMITS.MAX_CHUNK) {
      const chunk = bytes.subarray(at, at + LIMITS.MAX_CHUNK)
      this.#stop.signal.throwIfAborted()
      while (!this.#forgotten && this.#written + chunk.length - this.#acknowledged > LIMITS.WINDOW)
        await this.#change()
      const held = { offset: this.#written, flags, data: chunk }
      this.#written += chunk.length
      if (this.#forgotten) {
        // Nothing blocks an unread program any more; others must have their turn all the same.
        await this.#sleep(1)
        continue
      }
      this.#held.push(held)
      this.#sendHeld(held)
    }
  }

  async #read(): Promise<Uint8Array | null> {
    while (this.#stdin.length === 0 && this.#stdinOpen) await this.#change()
    const data = this.#stdin.shift()
    if (data === undefined) return null
    this.#take(data.length)
    return data
  }

  #take(size: number): void {
    this.#stdinTaken += size
    this.#sendAck()
  }

  async #sleep(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, milliseconds)
    try {
      await this.#unlessKilled(promise)
    } finally {
      clearTimeout(timer)
    }
  }

  #change(): Promise<void> {
    return this.#unlessKilled(this.#wake.promise)
  }

  async #unlessKilled(promise: Promise<void>): Promise<void> {
    const { signal } = this.#stop
    const killed = Promise.withResolvers<never>()
    const onAbort = () => killed.reject(signal.reason)
    signal.throwIfAborted()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await Promise.race([promise, killed.promise])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  #notify(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }

  #end(tag: typeof Field.EXIT_CODE | typeof Field.SIGNAL, value: number): void {
    if (!this.running) return
    this.#exit = fields().u64(tag, value).u64(Field.CPU_USEC, 0).u64(Field.MAX_RSS, 0).encode()
    this.#stop.abort(new Killed())
    for (const unread of this.#stdin.splice(0)) this.#take(unread.length)
    this.#sendEnding()
  }

  #sendEnding(): void {
    if (this.#exit === null) return
    this.#send(FrameType.EXIT, this.#exit)
    this.#send(FrameType.OUTPUT_CLOSED, fields().u64(Field.OFFSET, this.#written).encode())
  }

  #sendHeld(held: Held): void {
    if (this.#wire === null || held.offset < this.#sent) return
    this.#sent = held.offset + held.data.length
    const head = encodeBulkHead(FrameType.OUTPUT, this.#stream, held.offset, held.data.length, held.flags)
    this.#wire.send(head, held.data)
  }

  #sendAck(): void {
    const offset = new Uint8Array(8)
    new DataView(offset.buffer).setBigUint64(0, BigInt(this.#stdinTaken), true)
    this.#send(FrameType.ACK, offset)
  }

  #send(type: FrameType, payload: Uint8Array): void {
    this.#wire?.send(encodeFrame(type, this.#stream, payload))
  }
}

/** Signals whose default is to do nothing. */
const HARMLESS = new Set<number>([
  constants.signals.SIGCHLD,
  constants.signals.SIGCONT,
  constants.signals.SIGURG,
  constants.signals.SIGWINCH,
])

function numberOf(name: string): number {
  return constants.signals[name as NodeJS.Signals] ?? 0
}
