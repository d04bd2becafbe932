import { fileRoutes } from './files.ts'
import { filesystemRoutes } from './filesystem.ts'
import { healthRoutes } from './health.ts'
import { processRoutes } from './process.ts'
import type { Dialect, Route } from './route.ts'
import { sandboxRoutes } from './sandboxes.ts'
import { templateRoutes } from './templates.ts'
import { volumeRoutes } from './volumes.ts'

/** Everything that these clients can ask. */
export function routesOf(dialect: Dialect): Route[] {
  return [
    sandboxRoutes,
    templateRoutes,
    volumeRoutes,
    processRoutes,
    filesystemRoutes,
    fileRoutes,
    healthRoutes,
  ].flatMap((routes) => routes(dialect))
}
