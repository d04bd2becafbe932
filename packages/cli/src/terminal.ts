import type { Execution, TerminalSize } from 'caisson'
import { writeAll } from './stdio.ts'

const DEFAULT_SIZE: TerminalSize = { cols: 80, rows: 24 }

export function terminalSize(): TerminalSize {
  const { columns, rows } = process.stdout
  return columns > 0 && rows > 0 ? { cols: columns, rows } : DEFAULT_SIZE
}

/** How a command that nobody waits for is started, so that somebody can attach to its terminal or its stdin later. */
export function attachable(flags: { tty?: boolean; interactive?: boolean }): {
  tty?: TerminalSize
  stdin?: true
} {
  if (flags.tty) return { tty: terminalSize(), stdin: true }
  return flags.interactive ? { stdin: true } : {}
}

/** Ctrl-P Ctrl-Q: leaves a terminal that was joined, as in docker. */
const LEAVE = Buffer.from([0x10, 0x11])

export interface JoinOptions {
  signal: AbortSignal
  /** Begin so many bytes before the end of the output. */
  tail?: number | undefined
  /** Called at Ctrl-P Ctrl-Q, which the program then does not get. */
  onLeave?: () => void
}

/**
 * Joins our terminal to an execution's until it ends: keys as they are pressed, sizes as they change. The terminal
 * is put back however this ends.
 */
export async function joinTerminal(execution: Execution, options: JoinOptions): Promise<void> {
  using _raw = rawMode()
  const { onLeave, ...terminal } = options
  const send = (data: Buffer) => {
    if (onLeave && data.includes(LEAVE)) onLeave()
    else void execution.stdin.write(data).catch(() => {})
  }
  // The end of one viewer's keyboard is not the end of a terminal that others may look at.
  const end = () => (onLeave ? onLeave() : void execution.stdin.end().catch(() => {}))
  const resize = () => void execution.resize(terminalSize()).catch(() => {})
  process.stdin.on('data', send).on('end', end)
  process.on('SIGWINCH', resize)
  try {
    let first = true
    for await (const { data } of execution.terminal(terminal)) {
      if (first) resize()
      first = false
      await writeAll(process.stdout, data)
    }
  } finally {
    process.off('SIGWINCH', resize)
    process.stdin.off('data', send).off('end', end).pause()
  }
}

/** Keys without echo and without lines; undone at the end of the scope, and when the process ends in another way. */
function rawMode(): Disposable {
  if (!process.stdin.isTTY) return { [Symbol.dispose]() {} }
  const restore = () => void process.stdin.setRawMode(false)
  process.stdin.setRawMode(true)
  process.once('exit', restore)
  return {
    [Symbol.dispose]() {
      process.off('exit', restore)
      restore()
    },
  }
}
