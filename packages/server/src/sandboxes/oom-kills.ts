import type { Context } from './context.ts'
import type { Live } from './live.ts'

/** A count so old, in ms, is new enough: what was killed in between counts for the command that begins. */
const RECENT_MS = 5

/** How many processes of a sandbox the kernel has killed for memory so far; 0 where nobody counts. */
export function oomKills({ driver }: Context, id: string): number | Promise<number> {
  if (driver.oomKills !== undefined) {
    try {
      return driver.oomKills(id)
    } catch {
      return 0
    }
  }
  if (driver.usage === undefined) return 0
  return driver.usage(id).then(
    (usage) => usage?.oomKills ?? 0,
    () => 0,
  )
}

/** The same, and remembered: of a later loss of the agent these are no evidence. */
export function seeOomKills(context: Context, live: Live): number | Promise<number> {
  const remember = (kills: number) => {
    live.oomKills = Math.max(live.oomKills, kills)
    live.oomKillsAt = performance.now()
    return kills
  }
  const kills = oomKills(context, live.id)
  return typeof kills === 'number' ? remember(kills) : kills.then(remember)
}

/** The count before a command that begins now. */
export function lastOomKills(context: Context, live: Live): number | Promise<number> {
  return performance.now() - live.oomKillsAt < RECENT_MS ? live.oomKills : seeOomKills(context, live)
}
