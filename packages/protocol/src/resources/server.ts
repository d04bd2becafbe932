import { z } from 'zod'

export const Scope = z.enum(['read', 'exec', 'admin']).meta({
  id: 'Scope',
  description:
    'read: look; exec: also create, run, write and delete; admin: also manage keys and the server.',
})
export type Scope = z.infer<typeof Scope>

export const SshKey = z
  .object({
    id: z.string(),
    name: z.string(),
    type: z.string(),
    fingerprint: z.string().meta({ description: '"SHA256:…", as ssh-keygen -l shows it.' }),
    publicKey: z.string(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'SshKey' })
export type SshKey = z.infer<typeof SshKey>

export const ApiKey = z
  .object({
    id: z.string(),
    name: z.string(),
    scopes: z.array(Scope),
    createdAt: z.iso.datetime(),
    expiresAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'ApiKey' })
export type ApiKey = z.infer<typeof ApiKey>

export const ServerInfo = z
  .object({
    version: z.string(),
    driver: z.string(),
    storage: z.string(),
    memoryPause: z.enum(['no', 'frozen', 'disk']).meta({
      description: 'What a pause of depth "memory" can do: nothing, keep it in RAM, or put it on disk.',
    }),
    isolation: z.string(),
    dataDir: z.string(),
    pid: z.int(),
    startedAt: z.iso.datetime(),
    sandboxes: z.int(),
    url: z.string().nullable().meta({ description: 'Where it listens for requests over TCP.' }),
    previewDomain: z
      .string()
      .meta({ description: 'Exposed ports are `<port>-<id>.<previewDomain>`, with "-" for "_".' }),
    ssh: z
      .object({
        host: z.string(),
        port: z.int(),
        hostKey: z.string().meta({ description: 'As in a known_hosts file, without the host.' }),
        fingerprint: z.string(),
      })
      .nullable()
      .meta({ description: 'null: the SSH server is off.' }),
  })
  .meta({ id: 'ServerInfo' })
export type ServerInfo = z.infer<typeof ServerInfo>

export const DoctorReport = z
  .object({
    ok: z.boolean().meta({ description: 'The configured driver has all that it requires.' }),
    driver: z.string(),
    storage: z.string(),
    isolation: z.string().meta({ description: 'What stands between a sandbox and this host.' }),
    checks: z.array(
      z.object({
        id: z.string(),
        ability: z.string(),
        state: z.enum(['ok', 'degraded', 'missing']),
        detail: z.string().meta({ description: 'What was tried and what came out.' }),
        fix: z.string().nullable().meta({ description: 'What to do about it; null: nothing.' }),
        required: z.boolean().meta({ description: 'Without it the configured driver cannot run a sandbox.' }),
      }),
    ),
  })
  .meta({ id: 'DoctorReport' })
export type DoctorReport = z.infer<typeof DoctorReport>
