import { z } from 'zod'
import { ApiKey, DoctorReport, Fields, Scope, ServerInfo, SshKey } from '../resources.ts'
import { define, type Operation, reference } from './operation.ts'

/** The server itself: state, keys. */
export const server = {
  getServer: define({
    summary: 'What this server is and which isolation is active',
    http: 'GET /v1/server',
    scope: 'read',
    output: ServerInfo,
    errors: [],
  }),
  doctor: define({
    summary: 'Check, ability by ability, what this host can do and how to mend what is missing',
    http: 'GET /v1/doctor',
    scope: 'read',
    output: DoctorReport,
    errors: [],
  }),
  stopServer: define({
    summary: 'Stop the server; sandboxes go on running and the next server finds them',
    http: 'POST /v1/server/stop',
    scope: 'admin',
    status: 204,
    errors: [],
  }),
  createKey: define({
    summary: 'Make an API key; it is shown once',
    http: 'POST /v1/keys',
    scope: 'admin',
    body: z.strictObject({
      name: z.string().min(1).max(128),
      scopes: z.array(Scope).min(1),
      ttl: Fields.duration.optional(),
      format: z.enum(['caisson', 'e2b']).default('caisson').meta({
        description: 'e2b: "e2b_" and hexadecimal digits, which older clients of E2B insist on.',
      }),
    }),
    output: ApiKey.extend({ key: z.string() }),
    status: 201,
    errors: [],
  }),
  listKeys: define({
    summary: 'List API keys, without their secrets',
    http: 'GET /v1/keys',
    scope: 'admin',
    output: z.object({ keys: z.array(ApiKey) }),
    errors: [],
  }),
  deleteKey: define({
    summary: 'Revoke an API key',
    http: 'DELETE /v1/keys/{key}',
    scope: 'admin',
    params: z.object({ key: reference }),
    status: 204,
    errors: ['key_not_found'],
  }),
  addSshKey: define({
    summary: 'Let the owner of a public key in by SSH; one that is known already is given back',
    http: 'POST /v1/ssh-keys',
    scope: 'admin',
    body: z.strictObject({
      publicKey: z
        .string()
        .max(16_384)
        .meta({ description: 'A line of a .pub file: type, base64, comment.' }),
      name: z.string().min(1).max(128).optional().meta({ description: 'Default: the comment.' }),
    }),
    output: SshKey,
    status: 201,
    errors: [],
  }),
  listSshKeys: define({
    summary: 'List SSH keys',
    http: 'GET /v1/ssh-keys',
    scope: 'admin',
    output: z.object({ keys: z.array(SshKey) }),
    errors: [],
  }),
  deleteSshKey: define({
    summary: 'Remove an SSH key; sessions that it opened go on',
    http: 'DELETE /v1/ssh-keys/{key}',
    scope: 'admin',
    params: z.object({ key: z.string().max(128).meta({ description: 'Id or fingerprint.' }) }),
    status: 204,
    errors: ['ssh_key_not_found'],
  }),
} as const satisfies Record<string, Operation>
