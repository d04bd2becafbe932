import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import type { CommonFlags } from './connection.ts'
import { EXIT, Exit } from './failure.ts'

/** What a verb that destroys is told. */
export type ConfirmFlags = CommonFlags & { confirm?: boolean }

export const withConfirm = (command: Command): Command => command.option('-y, --confirm', 'do not ask')

/**
 * Asks first when a person is at the terminal; `--confirm`, `--json` or a script is taken at its word.
 *
 * @throws Exit when the answer is no
 */
export async function confirm(question: string, flags: ConfirmFlags): Promise<void> {
  if (flags.confirm || flags.json || !process.stdin.isTTY || !process.stderr.isTTY) return
  const asking = createInterface({ input: process.stdin, output: process.stderr })
  try {
    if (!/^y(es)?$/i.test(await asking.question(`${question} [y/N] `))) throw new Exit(EXIT.failed)
  } finally {
    asking.close()
  }
}
