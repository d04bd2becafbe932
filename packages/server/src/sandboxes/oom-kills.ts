import type { Context } from './context.ts'
import type { Live } from './live.ts'

/** How many processes of a sandbox the kernel has killed for memory so far; 0 where nobody counts. */
export async function oomKills(context: Context, id: string): Promise<number> {
  return (await context.driver.usage?.(id).catch(() => null))?.oomKills ?? 0
}

/** The same, and remembered: of a later loss of the agent these are no evidence. */
export async function seeOomKills(context: Context, live: Live): Promise<number> {
  const kills = await oomKills(context, live.id)
  live.oomKills = Math.max(live.oomKills, kills)
  return kills
}
