import { setTimeout as delay } from 'node:timers/promises'
import type { SandboxRecord } from '../../core/records.ts'
import { keepConnected } from '../connection.ts'
import type { Context } from '../context.ts'
import { nowOrLater } from '../eventually.ts'
import { NOTICE_MS } from './freeze.ts'
import { inTurn } from './turn.ts'

/**
 * Does something while no process of a sandbox runs, be it that it is paused or that it is frozen for so long; where the
 * driver cannot freeze, they run meanwhile. It has the sandbox's turn, which `work` must not ask for.
 * @param alone nobody is connected to its agent meanwhile
 */
export function frozen<T>(
  context: Context,
  { id }: SandboxRecord,
  work: () => Promise<T>,
  { alone = false }: { alone?: boolean } = {},
): Promise<T> {
  return inTurn(context, id, async () => {
    const { memory } = context.driver
    const live = context.live.get(id)
    if (memory === undefined || live === undefined) return work()
    // Who mends connections leaves it alone.
    const mine = alone && !live.mending
    if (mine) {
      live.mending = true
      live.drop()
      await delay(NOTICE_MS)
    }
    try {
      await memory.freeze(id)
      return await work()
    } finally {
      await nowOrLater(context, { sandbox: id }, () => memory.thaw(id))
      if (mine) live.mending = false
      void keepConnected(context, live)
    }
  })
}
