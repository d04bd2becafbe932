import { posix } from 'node:path'
import { SandboxError } from '@caisson/protocol/errors'
import { z } from 'zod'
import type { UseCases } from '../../sandboxes/use-cases.ts'
import { Actor, actorOf } from './accounts.ts'
import { ConnectError, field, integer, unary } from './connect.ts'
import { toEntry } from './entries.ts'
import type { Call, Dialect, Route } from './route.ts'
import { watchRoutes } from './watching.ts'

const text = field(z.string()).transform((value) => value ?? '')
const ofPath = z.object({ path: text })
const MAX_DEPTH = 1000

/** `filesystem.Filesystem`, over the files of a sandbox. */
export function filesystemRoutes(dialect: Dialect): Route[] {
  const { useCases } = dialect
  return [
    unary('filesystem.Filesystem/Stat', ofPath, async ({ path }, call) =>
      entryOf(useCases, call, await actorOf(useCases, call).resolve(path)),
    ),
    unary('filesystem.Filesystem/MakeDir', ofPath, ({ path }, call) => makeDirectory(useCases, call, path)),
    unary(
      'filesystem.Filesystem/Move',
      z.object({ source: text, destination: text }),
      ({ source, destination }, call) => move(useCases, call, source, destination),
    ),
    unary(
      'filesystem.Filesystem/ListDir',
      z.object({ path: text, depth: field(integer) }),
      ({ path, depth }, call) => list(useCases, call, path, depth ?? 0),
    ),
    unary('filesystem.Filesystem/Remove', ofPath, ({ path }, call) => remove(useCases, call, path)),
    ...watchRoutes(dialect),
  ]
}

async function entryOf(useCases: UseCases, { sandbox, client }: Call, path: string): Promise<object> {
  const query = { path, user: Actor.user, follow: false, attributes: true }
  return { entry: toEntry(path, await useCases.statFile(sandbox, query), client) }
}

async function makeDirectory(useCases: UseCases, call: Call, asked: string): Promise<object> {
  const actor = actorOf(useCases, call)
  const path = await actor.resolve(asked)
  const owner = await actor.owner()
  const input = { path, user: Actor.user, parents: true, owner }
  const made = await useCases.makeDirectory(call.sandbox, input)
  if (made.length === 0) throw new ConnectError('already_exists', `directory already exists: ${path}`)
  return entryOf(useCases, call, path)
}

/** Directories that the destination lies in are made, but only for something to move. */
async function move(useCases: UseCases, call: Call, from: string, to: string): Promise<object> {
  const actor = actorOf(useCases, call)
  const path = await actor.resolve(from)
  const target = await actor.resolve(to)
  const rename = () => useCases.renameFile(call.sandbox, { path, target, user: Actor.user })
  try {
    await rename()
  } catch (error) {
    if (!SandboxError.is(error, 'file_not_found')) throw error
    await useCases.statFile(call.sandbox, { path, user: Actor.user, follow: false, attributes: false })
    const owner = await actor.owner()
    const parent = { path: posix.dirname(target), user: Actor.user, parents: true, owner }
    await useCases.makeDirectory(call.sandbox, parent)
    await rename()
  }
  return entryOf(useCases, call, target)
}

/** Depth 0 is what old clients send for 1. */
async function list(useCases: UseCases, call: Call, asked: string, depth: number): Promise<object> {
  if (depth < 0 || depth > MAX_DEPTH)
    throw new ConnectError('invalid_argument', `depth must be between 1 and ${MAX_DEPTH}`)
  const path = await actorOf(useCases, call).resolve(asked)
  const query = { path, user: Actor.user, depth: Math.max(depth, 1), attributes: true }
  const files = await useCases.listFiles(call.sandbox, query, call.signal)
  return { entries: files.map(({ name, ...file }) => toEntry(posix.join(path, name), file, call.client)) }
}

async function remove(useCases: UseCases, call: Call, asked: string): Promise<object> {
  const path = await actorOf(useCases, call).resolve(asked)
  try {
    await useCases.removeFile(call.sandbox, { path, user: Actor.user, recursive: true }, call.signal)
  } catch (error) {
    if (!SandboxError.is(error, 'file_not_found')) throw error
  }
  return {}
}
