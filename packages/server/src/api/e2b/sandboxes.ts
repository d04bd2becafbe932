import { createRoutes } from './create.ts'
import { forkRoutes } from './fork.ts'
import { lifeRoutes } from './life.ts'
import { listingRoutes } from './listing.ts'
import { logRoutes } from './logs.ts'
import { metricsRoutes } from './metrics-routes.ts'
import { refusedRoutes } from './refused.ts'
import type { Dialect, Route } from './route.ts'
import { snapshotRoutes } from './snapshots.ts'

/** The control plane without templates and volumes, and what is refused of it. */
export function sandboxRoutes(dialect: Dialect): Route[] {
  return [
    ...createRoutes(dialect),
    ...listingRoutes(dialect),
    ...lifeRoutes(dialect),
    ...forkRoutes(dialect),
    ...snapshotRoutes(dialect),
    ...metricsRoutes(dialect),
    ...logRoutes(dialect),
    ...refusedRoutes(),
  ]
}
