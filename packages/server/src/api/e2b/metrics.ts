import { noSuchSandbox } from './errors.ts'
import type { Dialect, Route } from './route.ts'

/** What the sandbox uses now, as its daemon tells it. Bytes; what is not counted here is left out. */
export function usageRoutes({ useCases }: Dialect): Route[] {
  return [
    {
      name: 'daemon.metrics',
      method: 'GET',
      path: '/metrics',
      auth: 'sandbox',
      handle: async ({ sandbox }) => {
        const now = (await useCases.listUsage(sandbox, {})).at(-1)
        // None is known: it has ended since the request was let in.
        if (now === undefined) throw noSuchSandbox(sandbox)
        const { diskBytes, diskLimitBytes } = now
        return {
          json: {
            ts: Math.floor(Date.parse(now.at) / 1000),
            cpu_count: now.cpuMillis / 1000,
            cpu_used_pct: now.cpuPercent,
            mem_total: now.memoryLimitBytes,
            mem_used: now.memoryBytes,
            ...(diskBytes !== null && { disk_used: diskBytes }),
            ...(diskLimitBytes !== null && { disk_total: diskLimitBytes }),
          },
        }
      },
    },
  ]
}
