import { environmentRoutes } from './envs.ts'
import { usageRoutes } from './metrics.ts'
import type { Dialect, Route } from './route.ts'

/** Whether a sandbox runs: when it does not, the gate has answered 502. */
export function healthRoutes(dialect: Dialect): Route[] {
  return [
    {
      name: 'daemon.health',
      method: 'GET',
      path: '/health',
      auth: 'anybody',
      handle: async () => ({ status: 204 }),
    },
    ...environmentRoutes(dialect),
    ...usageRoutes(dialect),
  ]
}
