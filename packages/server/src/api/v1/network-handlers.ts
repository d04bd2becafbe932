import type { UseCases } from '../../sandboxes/use-cases.ts'
import { done, type Handlers } from './call.ts'

type NetworkHandlers = Pick<
  Handlers,
  | 'getNetwork'
  | 'setNetwork'
  | 'readNetworkLog'
  | 'listDestinations'
  | 'explainNetwork'
  | 'listPorts'
  | 'exposePort'
  | 'unexposePort'
  | 'linkPort'
>

export function networkHandlers(useCases: UseCases): NetworkHandlers {
  return {
    getNetwork: async ({ params }) => ({ json: await useCases.getNetwork(params.id) }),
    setNetwork: async ({ params, body }) => ({ json: await useCases.setNetwork(params.id, body.network) }),
    readNetworkLog: async ({ params, query }) => ({ json: await useCases.readNetworkLog(params.id, query) }),
    listDestinations: async ({ params, query }) => ({
      json: await useCases.listDestinations(params.id, query),
    }),
    explainNetwork: async ({ params, query, signal }) => ({
      json: await useCases.explainNetwork(params.id, query.destination, signal),
    }),
    listPorts: async ({ params }) => ({ json: { ports: await useCases.listPorts(params.id) } }),
    exposePort: async ({ params, body }) => ({
      json: await useCases.exposePort(params.id, params.port, body),
    }),
    unexposePort: async ({ params }) => done(useCases.unexposePort(params.id, params.port)),
    linkPort: async ({ params, body }) => ({ json: await useCases.linkPort(params.id, params.port, body) }),
  }
}
