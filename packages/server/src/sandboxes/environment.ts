import { changeEnvironment } from '../core/environment.ts'
import { newEvent } from '../core/events.ts'
import { changeSandbox } from './change-sandbox.ts'
import type { Context } from './context.ts'
import { findSandbox } from './lookup.ts'

/** The variables that the next command gets from its sandbox. */
export async function getEnvironment(context: Context, id: string): Promise<Record<string, string>> {
  return (await findSandbox(context, id)).env
}

/** Sets and, by null, deletes variables. Running commands keep what they were started with. */
export async function updateEnvironment(
  context: Context,
  id: string,
  change: Record<string, string | null>,
): Promise<Record<string, string>> {
  const record = await findSandbox(context, id)
  const names = Object.keys(change)
  const updated = await changeSandbox(context, record, ({ env }) => {
    const next = changeEnvironment(env, change)
    const set = names.filter((name) => Object.hasOwn(next, name))
    const deleted = names.filter((name) => Object.hasOwn(env, name) && !Object.hasOwn(next, name))
    return { change: { env: next }, events: [newEvent(record.id, 'env', { set, deleted })] }
  })
  return updated.env
}
