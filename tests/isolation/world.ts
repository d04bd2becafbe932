import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type CreateOptions, Sandbox, SandboxError } from 'caisson'
import { test as base, DRIVER } from '../fixture.ts'

/** Why isolation cannot be tested here; null when it can. The other drivers promise none. */
export const cannotRun =
  DRIVER !== 'oci'
    ? `the driver "${DRIVER}" promises no isolation`
    : process.getuid?.() !== 0
      ? 'sandboxes of the oci driver need root here'
      : null
if (cannotRun) console.warn(`skipped: ${cannotRun}`)

/** `test` with a server and a sandbox that all tests of a file share; tests that break theirs make their own. */
export const test = base.extend<{ box: Sandbox }>({
  box: [
    async ({ server }, use) => {
      await using box = await Sandbox.create({ client: server.client() })
      await use(box)
    },
    { scope: 'file' },
  ],
})

/** Who attacks: the workload, or root of the sandbox as `sudo` makes it. */
export const ATTACKERS = ['agent', 'root'] as const
export type Attacker = (typeof ATTACKERS)[number]

const PROBE = readFileSync(join(import.meta.dirname, 'probe.py'), 'utf8')
const as = (who: Attacker) => (who === 'root' ? ['sudo', '-n'] : [])

/** Runs a Python program in the sandbox; gives what it printed. */
export async function python(box: Sandbox, who: Attacker, code: string, ...args: string[]): Promise<string> {
  const result = await box.exec([...as(who), 'python3', '-c', code, ...args])
  return result.throwIfFailed().stdout
}

/** Tries each expression of `probe.py`; gives "ok", the name of the errno, or what the expression said. */
export async function attempt<K extends string>(
  box: Sandbox,
  who: Attacker,
  expressions: Record<K, string>,
): Promise<Record<K, string>> {
  return JSON.parse(await python(box, who, PROBE, JSON.stringify(expressions)))
}

/** A shell script in the sandbox; gives its output without the last newline. */
export async function shell(box: Sandbox, script: string, options: { user?: string } = {}): Promise<string> {
  return (await box.sh(script, options)).throwIfFailed().stdout.trimEnd()
}

/** The code of the typed error that a call ends with, or "ok". Anything that is not typed is thrown. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'ok'
  } catch (error) {
    if (error instanceof SandboxError) return error.code
    throw error
  }
}

/** A second sandbox on the same server, for the length of a block. */
export const another = (box: Sandbox, options: CreateOptions = {}): Promise<Sandbox> =>
  Sandbox.create({ ...options, client: box.client })
