import type { Dialect, Route } from './route.ts'

/** What every command of the sandbox is given beside its own environment. */
export function environmentRoutes({ useCases }: Dialect): Route[] {
  return [
    {
      name: 'daemon.envs',
      method: 'GET',
      path: '/envs',
      auth: 'sandbox',
      handle: async ({ sandbox }) => ({ json: await useCases.getEnvironment(sandbox) }),
    },
  ]
}
