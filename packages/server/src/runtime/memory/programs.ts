import type { Ports } from './dial.ts'

/** What a built-in program has of the world. Every wait ends with an error once the program is killed. */
export interface ProgramIo {
  readonly env: ReadonlyMap<string, string>
  readonly cwd: string
  /** Blocks while a window of output waits for the host, as a pipe does. */
  write(data: string | Uint8Array, stream?: 'stdout' | 'stderr'): Promise<void>
  /** Next bytes of stdin; null at its end. */
  read(): Promise<Uint8Array | null>
  readFile(path: string): Uint8Array
  readonly ports: Ports
  sleep(milliseconds: number): Promise<void>
  /** Ends this program by a signal. */
  die(signal: string): never
  /** From now on these signals do nothing. */
  ignore(signals: string[]): void
}

/** A program: its arguments without the name, its exit code as the answer. */
export type Program = (io: ProgramIo, args: string[]) => number | Promise<number>

/** Every program that a memory sandbox has. */
export const PROGRAMS: Readonly<Record<string, Program>> = {
  true: () => 0,
  false: () => 1,
  exit: (_io, [code]) => Number(code ?? 0) & 0xff,
  echo: (io, args) => print(io, `${args.join(' ')}\n`),
  /** Like echo, to stderr. */
  warn: (io, args) => print(io, `${args.join(' ')}\n`, 'stderr'),
  env: (io) => print(io, [...io.env].map(([name, value]) => `${name}=${value}\n`).join('')),
  pwd: (io) => print(io, `${io.cwd}\n`),
  cat,
  sleep: async (io, [seconds]) => {
    await io.sleep(Number(seconds) * 1000)
    return 0
  },
  /** A line for ever. */
  yes: async (io, [line = 'y']) => {
    const block = `${line}\n`.repeat(Math.ceil(4096 / (line.length + 1)))
    for (;;) await io.write(block)
  },
  /** So many bytes, each the low eight bits of its offset. */
  flood,
  /** Listens on a port and sends back what it gets, until it is killed. */
  listen,
  /** Ends itself by the named signal. */
  die: (io, [signal = 'SIGKILL']) => io.die(signal),
  /** `trap SIGTERM,SIGINT program …`: runs a program that ignores signals. */
  trap: (io, [signals = '', name = '', ...args]) => {
    io.ignore(signals.split(','))
    return PROGRAMS[name]?.(io, args) ?? 127
  },
  /** `-c` and a text that is one program with its words: nothing else of a shell is here. */
  '/bin/sh': (io, [, text = '']) => {
    const [name = '', ...args] = text.split(' ')
    return PROGRAMS[name]?.(io, args) ?? 127
  },
}

async function print(io: ProgramIo, text: string, stream: 'stdout' | 'stderr' = 'stdout'): Promise<number> {
  await io.write(text, stream)
  return 0
}

async function cat(io: ProgramIo, paths: string[]): Promise<number> {
  for (const path of paths) await io.write(io.readFile(path))
  if (paths.length > 0) return 0
  for (let data = await io.read(); data !== null; data = await io.read()) await io.write(data)
  return 0
}

async function flood(io: ProgramIo, [bytes]: string[]): Promise<number> {
  const block = Uint8Array.from({ length: 65_536 }, (_, index) => index)
  for (let left = Number(bytes); left > 0; left -= block.length) await io.write(block.subarray(0, left))
  return 0
}

async function listen(io: ProgramIo, [text]: string[]): Promise<number> {
  const port = Number(text)
  if (io.ports.has(port)) return 1
  io.ports.set(port, (connection) => connection.pipe(connection))
  try {
    await io.write(`listening on ${port}\n`)
    for (;;) await io.sleep(1 << 30)
  } finally {
    io.ports.delete(port)
  }
}
