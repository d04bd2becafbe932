import type { Client } from './client.ts'
import { createBody } from './create-body.ts'
import { type CreateOptions, clientOf } from './create-options.ts'
import { type Command, type ExecOptions, execute, type Launch } from './exec.ts'
import type { ExecResult, ResourcesGranted } from './result.ts'

/** How a command is run in a sandbox of its own. */
export interface RunOptions extends ExecOptions {
  /** What the sandbox is to be. */
  sandbox?: Omit<CreateOptions, 'client' | 'signal'> | undefined
  client?: CreateOptions['client']
}

/**
 * Creates a sandbox, runs one command in it, and deletes it, in one request. Aborting, or losing the process, ends it.
 *
 * @example
 * ```ts
 * import { run } from 'caisson'
 *
 * const { stdout } = await run(['python3', '-c', 'print(6*7)'], { timeout: '30s' })
 * console.log(stdout) // 42
 * ```
 * @throws SandboxError as `Sandbox.create()` and `sandbox.exec()`
 */
export function run(command: Command, options: RunOptions = {}): Promise<ExecResult> {
  const client = clientOf(options.client)
  const sandbox = createBody(options.sandbox ?? {})
  const launch: Launch = {
    first: (execution, signal) => client.stream('run', { sandbox, execution }, { signal }),
    repeatable: false,
    leavingEnds: true,
    resources: (id) => granted(client, id),
  }
  return execute(client, launch, command, options)
}

/** Asked beside the stream; the result of the command does not depend on it. */
async function granted(client: Client, id: string): Promise<ResourcesGranted | null> {
  try {
    return (await client.call('getSandbox', { id })).resources.granted
  } catch {
    return null
  }
}
