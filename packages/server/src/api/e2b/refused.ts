import { Refused } from './errors.ts'
import type { Route } from './route.ts'

/** What these clients' service has and this server does not: whole endpoints, each with the reason. */
const ABSENT: readonly (readonly [name: string, endpoints: readonly string[], why: string])[] = [
  [
    'secrets',
    [
      'GET /secrets',
      'POST /secrets',
      'GET /secrets/{secretID}',
      'POST /secrets/{secretID}',
      'DELETE /secrets/{secretID}',
    ],
    'There are no secrets on this server: requests of sandboxes are not rewritten on their way out, so that nothing could put them in. Give the sandbox what it needs with envs',
  ],
  [
    'teams',
    ['GET /teams', 'GET /teams/{teamID}/metrics', 'GET /teams/{teamID}/metrics/max'],
    'There are no teams on this server: its keys see all of its sandboxes',
  ],
  [
    'templates.legacy',
    ['POST /templates', 'POST /templates/{templateID}', 'POST /templates/{templateID}/builds/{buildID}'],
    'Templates are not built from images that are pushed to a registry here. Use a client that sends the steps of the build (version 2 or later)',
  ],
  [
    'runs',
    ['GET /v2/sandbox-runs'],
    'This server keeps no history of runs for these clients; "caisson list --all" shows sandboxes that have ended',
  ],
]

export function refusedRoutes(): Route[] {
  return ABSENT.flatMap(([name, endpoints, why]) =>
    endpoints.map((endpoint, at): Route => {
      const [method, path] = endpoint.split(' ') as [Route['method'], string]
      return {
        name: `${name}.refused${at}`,
        method,
        path,
        auth: method === 'GET' ? 'read' : 'exec',
        handle: async () => {
          throw new Refused(501, why)
        },
      }
    }),
  )
}
