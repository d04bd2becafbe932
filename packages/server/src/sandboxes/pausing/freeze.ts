import { setTimeout as delay } from 'node:timers/promises'
import type { Context } from '../context.ts'
import type { Live } from '../live.ts'
import { meterLast } from '../metering.ts'
import { readTraffic } from '../network/traffic.ts'
import { dumpOf } from './dump.ts'

/**
 * An agent needs a moment to take what was sent to it and to notice that nobody is connected any more, in ms; afterwards
 * it has all of it, and a dump can be made of it.
 */
export const NOTICE_MS = 20

/**
 * Stops the processes of a sandbox where they are. Its connection is given up, its executions stay open, and what
 * counts their time stands still.
 */
export async function freezeLive(context: Context, live: Live): Promise<void> {
  const { driver, failpoint } = context
  const { memory } = driver
  if (memory === undefined) throw new Error('this driver cannot keep processes')
  // One that is left of an earlier pause does not belong to the files as they are now.
  if (memory.noDumps === null) await memory.removeDump(dumpOf(live.id))
  live.drop('the sandbox was paused')
  await delay(NOTICE_MS)
  await memory.freeze(live.id)
  failpoint('pause:frozen')
  for (const running of live.executions.values()) running.deadline?.stop()
  await meterLast(
    context,
    live,
    live.record.network === null ? new Map() : await readTraffic(context, live.id),
  )
}
