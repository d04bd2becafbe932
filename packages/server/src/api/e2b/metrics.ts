import type { Dialect, Route } from './route.ts'

/** What the sandbox uses now, as its daemon tells it. */
export function usageRoutes({ useCases }: Dialect): Route[] {
  return [
    {
      name: 'daemon.metrics',
      method: 'GET',
      path: '/metrics',
      auth: 'sandbox',
      handle: async ({ sandbox }) => {
        const sample = (await useCases.listUsage(sandbox, {})).at(-1)
        if (sample === undefined) return { json: { ts: Math.floor(Date.now() / 1000) } }
        return {
          json: {
            ts: Math.floor(Date.parse(sample.at) / 1000),
            cpu_count: sample.cpuMillis / 1000,
            cpu_used_pct: sample.cpuPercent,
            mem_total: sample.memoryLimitBytes,
            mem_used: sample.memoryBytes,
            disk_used: sample.diskBytes,
            disk_total: sample.diskLimitBytes,
          },
        }
      },
    },
  ]
}
