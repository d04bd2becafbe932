import type { Context } from './context.ts'

/** How many processes of a sandbox the kernel has killed for memory so far; 0 where nobody counts. */
export async function oomKills(context: Context, id: string): Promise<number> {
  return (await context.driver.usage?.(id).catch(() => null))?.oomKills ?? 0
}
