import type { Execution, TerminalSize } from 'caisson'
import { writeAll } from './stdio.ts'

const DEFAULT_SIZE: TerminalSize = { cols: 80, rows: 24 }

export function terminalSize(): TerminalSize {
  const { columns, rows } = process.stdout
  return columns > 0 && rows > 0 ? { cols: columns, rows } : DEFAULT_SIZE
}

/**
 * Joins our terminal to an execution's until it ends: keys as they are pressed, sizes as they change. The terminal
 * is put back however this ends.
 */
export async function joinTerminal(execution: Execution, signal: AbortSignal): Promise<void> {
  using _raw = rawMode()
  const send = (data: Buffer) => void execution.stdin.write(data).catch(() => {})
  const end = () => void execution.stdin.end().catch(() => {})
  const resize = () => void execution.resize(terminalSize()).catch(() => {})
  process.stdin.on('data', send).on('end', end)
  process.on('SIGWINCH', resize)
  try {
    let first = true
    for await (const { data } of execution.terminal(signal)) {
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
