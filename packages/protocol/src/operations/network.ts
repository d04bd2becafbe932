import { z } from 'zod'
import {
  Destination,
  ExposedPort,
  Fields,
  NetworkAsked,
  NetworkExplanation,
  NetworkLogEntry,
  NetworkState,
  PortAccess,
} from '../resources.ts'
import { byId, define, flag, type Operation, page, reference } from './operation.ts'

const byPort = z.object({
  id: reference.meta({ description: 'Id or name.' }),
  port: z.coerce.number().int().min(1024).max(65_535),
})

/** Where all ports are exposed, those that could not be alone are as well. */
const byAnyPort = byPort.extend({ port: z.coerce.number().int().min(1).max(65_535) })

/** What sandboxes reach, and how they are reached. */
export const network = {
  getNetwork: define({
    summary: 'What a sandbox may reach, and how much it has sent and received',
    http: 'GET /v1/sandboxes/{id}/network',
    scope: 'read',
    params: byId,
    output: NetworkState,
    errors: ['sandbox_not_found'],
  }),
  setNetwork: define({
    summary: 'Replace the rules of a running sandbox; open connections are judged anew at their next packet',
    http: 'PUT /v1/sandboxes/{id}/network',
    scope: 'exec',
    params: byId,
    body: z.strictObject({ network: NetworkAsked }),
    output: NetworkState,
    errors: [
      'sandbox_not_found',
      'sandbox_ended',
      'invalid_transition',
      'not_supported',
      'conflict',
      'host_not_ready',
    ],
  }),
  readNetworkLog: define({
    summary: 'What the network rules refused, oldest first',
    http: 'GET /v1/sandboxes/{id}/network/log',
    scope: 'read',
    params: byId,
    query: z.strictObject({ ...page, reverse: flag.optional().meta({ description: 'Newest first.' }) }),
    output: z.object({ entries: z.array(NetworkLogEntry), total: z.int() }),
    errors: ['sandbox_not_found'],
  }),
  listDestinations: define({
    summary: 'What a sandbox has connected to, most recent first',
    http: 'GET /v1/sandboxes/{id}/network/destinations',
    scope: 'read',
    params: byId,
    query: z.strictObject({ ...page }),
    output: z.object({ destinations: z.array(Destination), total: z.int() }),
    errors: ['sandbox_not_found'],
  }),
  explainNetwork: define({
    summary: 'Whether a sandbox may reach a host, and why',
    http: 'GET /v1/sandboxes/{id}/network/explain',
    scope: 'read',
    params: byId,
    query: z.strictObject({
      destination: z
        .string()
        .min(1)
        .max(300)
        .meta({ description: 'A name or an address, and ":port" if one is meant.' }),
    }),
    output: NetworkExplanation,
    errors: ['sandbox_not_found', 'sandbox_ended'],
  }),
  listPorts: define({
    summary: 'The exposed ports of a sandbox',
    http: 'GET /v1/sandboxes/{id}/ports',
    scope: 'read',
    params: byId,
    output: z.object({ ports: z.array(ExposedPort) }),
    errors: ['sandbox_not_found'],
  }),
  exposePort: define({
    summary: 'Expose a port of a sandbox, or change who may reach it',
    http: 'PUT /v1/sandboxes/{id}/ports/{port}',
    scope: 'exec',
    params: byPort,
    body: z.strictObject({ access: PortAccess.default('private') }),
    output: ExposedPort,
    errors: ['sandbox_not_found', 'sandbox_ended', 'too_many', 'conflict'],
  }),
  unexposePort: define({
    summary: 'Expose a port no longer; open connections to it are cut',
    http: 'DELETE /v1/sandboxes/{id}/ports/{port}',
    scope: 'exec',
    params: byPort,
    errors: ['sandbox_not_found', 'sandbox_ended', 'port_not_exposed', 'conflict'],
  }),
  linkPort: define({
    summary: 'Make a link and a token that open a private port for some time',
    http: 'POST /v1/sandboxes/{id}/ports/{port}/links',
    scope: 'exec',
    params: byAnyPort,
    body: z.strictObject({
      ttl: Fields.duration.default('24h').meta({ description: 'At most 30 days.' }),
    }),
    output: z.object({
      url: z
        .string()
        .nullable()
        .meta({ description: 'Opens the port in a browser and keeps the token as a cookie.' }),
      token: z.string().meta({ description: 'For the header caisson-port-token.' }),
      expiresAt: z.iso.datetime(),
    }),
    errors: ['sandbox_not_found', 'sandbox_ended', 'port_not_exposed'],
  }),
} as const satisfies Record<string, Operation>
