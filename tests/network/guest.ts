import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { NetworkAsked } from '@caisson/protocol/resources'
import { type CreateOptions, Sandbox } from 'caisson'
import type { TestServer } from '../test-server.ts'
import type { World } from './world.ts'

export * from './world.ts'

const PROBE = readFileSync(join(import.meta.dirname, 'probe.py'), 'utf8')

/** What "at once" is: far from any wait of a client for an answer that never comes, and no measure of speed. */
export const AT_ONCE_SECONDS = 3.5

export interface Outcome {
  said: string
  seconds: number
}

/** A sandbox in the world, with the world's authority at /tmp/ca.pem. */
export async function inside(
  world: World,
  server: TestServer,
  network: NetworkAsked,
  options: Omit<CreateOptions, 'client'> = {},
): Promise<Sandbox> {
  const box = await Sandbox.create({ ...options, network, client: server.client() })
  await box.files.write('/tmp/ca.pem', world.ca)
  return box
}

/** Tries each expression of `probe.py`, all at once; with the time that each took. */
export async function timed<K extends string>(
  box: Sandbox,
  expressions: Record<K, string>,
  as: string[] = [],
): Promise<Record<K, Outcome>> {
  const result = await box.exec([...as, 'python3', '-c', PROBE, JSON.stringify(expressions)])
  const said = JSON.parse(result.throwIfFailed().stdout) as Record<K, [string, number]>
  return Object.fromEntries(
    Object.entries<[string, number]>(said).map(([name, [said, seconds]]) => [name, { said, seconds }]),
  ) as Record<K, Outcome>
}

/** Tries each expression of `probe.py`; what came of it. */
export async function attempt<K extends string>(
  box: Sandbox,
  expressions: Record<K, string>,
  as: string[] = [],
): Promise<Record<K, string>> {
  const all = await timed(box, expressions, as)
  return Object.fromEntries(Object.entries<Outcome>(all).map(([name, { said }]) => [name, said])) as Record<
    K,
    string
  >
}

/** The same outcome for every name. */
export const each = <K extends string>(
  expressions: Record<K, unknown>,
  outcome: unknown,
): Record<K, unknown> =>
  Object.fromEntries(Object.keys(expressions).map((name) => [name, outcome])) as Record<K, unknown>

/** Replaces the rules of a running sandbox. */
export const setNetwork = (box: Sandbox, network: NetworkAsked) =>
  box.client.call('setNetwork', { id: box.id, network })

/** The refusals of a sandbox so far, oldest first. */
export async function refusals(box: Sandbox) {
  return (await box.client.call('readNetworkLog', { id: box.id, limit: 100 })).entries
}

/** Waits until a look at the world is as wanted; what was seen last, so that `expect` can say what is wrong with it. */
export async function until<T>(look: () => Promise<T>, wanted: (seen: T) => boolean): Promise<T> {
  for (const end = Date.now() + 15_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const seen = await look()
    if (wanted(seen) || Date.now() > end) return seen
  }
}
