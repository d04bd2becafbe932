import { posix } from 'node:path'
import { SandboxError } from '@caisson/protocol/errors'
import { z } from 'zod'
import type { UseCases } from '../../sandboxes/use-cases.ts'
import { Actor } from './accounts.ts'
import { Refused } from './errors.ts'
import { naming } from './naming.ts'
import type { Call, Dialect, Route } from './route.ts'

const MAX_SOURCES = 10_000
const body = z.object({
  source_paths: z.array(z.string()).min(1).max(MAX_SOURCES),
  destination: z.string().min(1),
  username: z.string().optional(),
})

/** Files put together to one, which are then removed. */
export function composeRoutes({ useCases }: Dialect): Route[] {
  return [
    {
      name: 'files.compose',
      method: 'POST',
      path: '/files/compose',
      auth: 'sandbox',
      body,
      handle: async (call) => ({ json: await compose(useCases, call, call.body as z.output<typeof body>) }),
    },
  ]
}

async function compose(useCases: UseCases, call: Call, asked: z.output<typeof body>): Promise<object> {
  const { sandbox, signal } = call
  const actor = new Actor(useCases, sandbox, asked.username || undefined)
  const path = await actor.resolve(asked.destination)
  const sources = await Promise.all(asked.source_paths.map((source) => actor.resolve(source)))
  for (const source of sources) {
    if (posix.normalize(source) === posix.normalize(path))
      throw new Refused(400, `'${source}' is a source and the destination`)
    await mustBeFile(useCases, sandbox, source)
  }
  const query = { path, user: Actor.user, parents: true, owner: await actor.owner() }
  await naming(path, useCases.writeFile(sandbox, query, contentsOf(useCases, call, sources), signal))
  // The file is whole: from here on the client's leaving changes nothing.
  for (const source of new Set(sources)) await remove(useCases, sandbox, source)
  return { name: posix.basename(path), path, type: 'file' }
}

/** Looked at before anything is written. */
async function mustBeFile(useCases: UseCases, sandbox: string, path: string): Promise<void> {
  const query = { path, user: Actor.user, follow: true, attributes: false }
  const { type } = await naming(path, useCases.statFile(sandbox, query))
  if (type !== 'file') throw new Refused(400, `path '${path}' is no file`)
}

async function* contentsOf(useCases: UseCases, call: Call, sources: string[]): AsyncGenerator<Uint8Array> {
  for (const path of sources) {
    const query = { path, user: Actor.user, offset: 0 }
    const { data } = await naming(path, useCases.readFile(call.sandbox, query, call.signal))
    yield* data
  }
}

async function remove(useCases: UseCases, sandbox: string, path: string): Promise<void> {
  try {
    await useCases.removeFile(sandbox, { path, user: Actor.user, recursive: false })
  } catch (error) {
    if (!SandboxError.is(error, 'file_not_found')) throw error
  }
}
