import { SandboxError } from '@caisson/protocol/errors'
import type { Context } from './context.ts'
import type { CreateInput, Made } from './create-live.ts'
import { holdSave } from './saved/hold.ts'
import { memoryOf, whyNoMemory } from './saved/memory.ts'
import { warmOf } from './warm.ts'

/** Dumps that could not be started from: they are not tried again by this server. */
const broken = new WeakMap<Context, Set<string>>()

/**
 * Whether a sandbox begins with processes that were saved, by what it is made of and what was asked. A snapshot with
 * processes is gone on with, or it is said why not; a program that a template or a runtime starts begins anew where it
 * can not be gone on with.
 * @param holds keeps what is gone on from until the sandbox runs
 * @throws SandboxError `not_supported`
 */
export async function goOn(
  context: Context,
  made: Made,
  input: CreateInput,
  holds: DisposableStack,
): Promise<Made> {
  if (input.processes === false) return made
  const saved = made.memory === undefined ? await warmOf(context, made, holds) : made
  const isProgram = saved.memory !== 'processes'
  const dump = saved.memory === undefined ? null : memoryOf(saved.from as string)
  if (dump !== null) holds.use(holdSave(context, dump))
  const obstacle = await obstacleOf(context, saved, dump, input)
  if (obstacle === null && dump !== null) return { ...saved, dump, ...(isProgram && { anew: made }) }
  if (input.processes === true || (!isProgram && dump !== null))
    throw new SandboxError('not_supported', {
      what: 'going on with saved processes',
      reason: `${obstacle}; "processes": false starts anew`,
    })
  return made
}

/** Makes a sandbox; one that goes on with a program begins with the files alone when that fails. */
export async function makeOrBeginAnew<T>(
  context: Context,
  made: Made,
  make: (made: Made) => Promise<T>,
): Promise<T> {
  const { anew, dump } = made
  if (anew === undefined || dump === undefined) return make(made)
  try {
    return await make(made)
  } catch (error) {
    if (!SandboxError.is(error, 'create_failed')) throw error
    context.log.warn({ dump, err: error }, 'a program could not be gone on with, and is started anew')
    broken.set(context, (broken.get(context) ?? new Set()).add(dump))
    return make(anew)
  }
}

async function obstacleOf(
  context: Context,
  made: Made,
  dump: string | null,
  { env = {} }: CreateInput,
): Promise<string | null> {
  if (dump === null) return 'what it is made from has none'
  const impossible = whyNoMemory(context)
  if (impossible !== null) return impossible
  if ((made.volumes ?? []).length > 0) return 'volumes are mounted before any process begins'
  if (made.memory === 'program' && Object.keys(env).length > 0)
    return 'its program gets the environment that was asked for only at its start'
  if (broken.get(context)?.has(dump)) return 'it has failed before; the server’s log says why'
  return (await context.driver.memory?.listDumps())?.includes(dump) ? null : 'they are not kept any more'
}
