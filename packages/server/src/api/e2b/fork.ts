import { SandboxError } from '@caisson/protocol/errors'
import type { Sandbox } from '@caisson/protocol/resources'
import { z } from 'zod'
import { lifetime } from './create.ts'
import { Refused, toRefused } from './errors.ts'
import { withProcesses } from './processes.ts'
import type { Answer, Call, Dialect, Route } from './route.ts'
import { findSandbox, isPaused, showCreated } from './show.ts'

const DEFAULT_TIMEOUT = 15

const Fork = z.object({
  timeout: lifetime.nullish(),
  count: z.int().min(1).max(100).nullish(),
})

export function forkRoutes(dialect: Dialect): Route[] {
  return [
    {
      name: 'sandboxes.fork',
      method: 'POST',
      path: '/sandboxes/{sandboxID}/fork',
      auth: 'exec',
      body: Fork,
      handle: (call) => fork(dialect, call),
    },
  ]
}

/** All copies are of one instant, so that either all of them are made or none is; each tells for itself. */
async function fork(dialect: Dialect, { params, body, signal }: Call): Promise<Answer> {
  const { timeout, count } = body as z.output<typeof Fork>
  const original = await findSandbox(dialect, params.sandboxID ?? '')
  if (isPaused(original)) throw new Refused(409, 'A paused sandbox is not forked. Connect to it first.')
  const copies = await makeCopies(dialect, original, count ?? 1, signal)
  const results = await Promise.all(copies.map((copy) => setOff(dialect, copy, timeout ?? DEFAULT_TIMEOUT)))
  return { status: 201, json: results }
}

type Copy = Sandbox | SandboxError

async function makeCopies(
  dialect: Dialect,
  original: Sandbox,
  count: number,
  signal: AbortSignal,
): Promise<Copy[]> {
  try {
    return await copy(dialect, original, count, signal)
  } catch (error) {
    if (!(error instanceof SandboxError) || !OF_COPIES.has(error.code)) throw error
    return Array.from({ length: count }, () => error)
  }
}

/** What keeps copies from being made, rather than the original from being copied. */
const OF_COPIES: ReadonlySet<string> = new Set(['too_many', 'create_failed'])

/** With their processes where that can be, else with the files alone. */
async function copy(
  dialect: Dialect,
  original: Sandbox,
  count: number,
  signal: AbortSignal,
): Promise<Sandbox[]> {
  const { sandboxes } = await withProcesses(dialect, original, (memory) =>
    dialect.useCases.forkSandbox(original.id, { count, memory }, {}, signal),
  )
  return sandboxes
}

/** A copy that cannot be told of is not left running. */
async function setOff(dialect: Dialect, copied: Copy, seconds: number): Promise<object> {
  if (copied instanceof SandboxError) return failure(copied)
  try {
    await dialect.useCases.updateSandbox(copied.id, { ttl: seconds * 1000 })
    return { sandbox: await showCreated(dialect, copied) }
  } catch (error) {
    await dialect.useCases.deleteSandbox(copied.id)
    return failure(error)
  }
}

function failure(error: unknown): object {
  const { status, message } = toRefused(error, '')
  return { error: { code: status, message } }
}
