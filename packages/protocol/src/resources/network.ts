import { z } from 'zod'
import { quantity } from './common.ts'

const entries = z.array(z.string().min(1).max(300)).max(1000).meta({
  description:
    'Addresses ("1.2.3.4", "2001:db8::1"), ranges ("1.2.0.0/16"), names ("example.com", "*.example.com"), names with a port ("example.com:22").',
})

export const NetworkRules = z
  .strictObject({
    default: z.enum(['allow', 'deny']).optional().meta({
      description: 'For what no entry matches. Default: deny when there is an `allow` list, else allow.',
    }),
    allow: entries.optional(),
    deny: entries.optional(),
    learn: z
      .boolean()
      .optional()
      .meta({ description: 'Let everything public pass and remember what was used.' }),
    upload: quantity.optional().meta({ description: 'Bytes per second that it may send, such as "10Mi".' }),
    download: quantity.optional().meta({ description: 'Bytes per second that it may receive.' }),
    connections: z.int().min(1).max(65_535).optional().meta({ description: 'Connections open at once.' }),
  })
  .meta({
    id: 'NetworkRules',
    description:
      'The most specific matching entry decides: an address before a name, a name before a wildcard, a wildcard before a range. Private and reserved addresses stay unreachable whatever is listed.',
  })
export type NetworkRules = z.input<typeof NetworkRules>

/** `false`: no network; `true`: the public internet. */
export const NetworkAsked = z.union([z.boolean(), NetworkRules])
export type NetworkAsked = z.input<typeof NetworkAsked>

export const Network = z
  .object({
    mode: z.enum(['none', 'public', 'rules']),
    default: z.enum(['allow', 'deny']),
    allow: z.array(z.string()),
    deny: z.array(z.string()),
    learn: z.boolean(),
    uploadBytesPerSecond: z.int().nullable(),
    downloadBytesPerSecond: z.int().nullable(),
    connections: z.int().nullable(),
  })
  .meta({ id: 'Network', description: 'What a sandbox may reach. null: the server’s own limit holds.' })
export type Network = z.infer<typeof Network>

const portNumber = z.int().min(1024).max(65_535)
export const PortAccess = z.enum(['public', 'private']).meta({
  id: 'PortAccess',
  description: 'public: whoever has the address; private: whoever has a token for it.',
})
export const PortAsked = z.union([
  portNumber,
  z.strictObject({ port: portNumber, access: PortAccess.optional() }),
])
export const ExposedPort = z
  .object({
    port: portNumber,
    access: PortAccess,
    url: z.string().nullable().meta({ description: 'null: the server listens on no TCP port.' }),
  })
  .meta({ id: 'ExposedPort' })
export type ExposedPort = z.infer<typeof ExposedPort>

export const NetworkLogEntry = z
  .object({
    at: z.iso.datetime(),
    verdict: z.enum(['refused', 'allowed']),
    protocol: z.enum(['tcp', 'udp', 'icmp', 'dns', 'tls', 'http', 'other']),
    name: z.string().nullable(),
    address: z.string().nullable(),
    port: z.int().nullable(),
    rule: z
      .string()
      .meta({ description: 'The entry or the built-in rule that decided, such as "deny example.com".' }),
    message: z.string().meta({ description: 'What happened and what would let it pass, in a sentence.' }),
    count: z.int().meta({ description: 'How often it happened, up to the next entry of the same kind.' }),
    process: z.string().nullable(),
  })
  .meta({ id: 'NetworkLogEntry' })
export type NetworkLogEntry = z.infer<typeof NetworkLogEntry>

export const Destination = z
  .object({
    name: z.string().nullable(),
    address: z.string(),
    port: z.int().nullable(),
    protocol: z.enum(['tcp', 'udp', 'icmp', 'other']),
    connections: z.int(),
    uploadedBytes: z.int().nullable().meta({ description: 'null: not counted for this destination.' }),
    downloadedBytes: z.int().nullable(),
    firstAt: z.iso.datetime(),
    lastAt: z.iso.datetime(),
  })
  .meta({ id: 'Destination' })
export type Destination = z.infer<typeof Destination>

export const NetworkExplanation = z
  .object({
    destination: z.string(),
    verdict: z.enum(['allowed', 'refused']),
    rule: z.string(),
    message: z.string().meta({ description: 'Why, and what would change it, in sentences.' }),
    addresses: z.array(
      z.object({ address: z.string(), verdict: z.enum(['allowed', 'refused']), rule: z.string() }),
    ),
  })
  .meta({ id: 'NetworkExplanation' })
export type NetworkExplanation = z.infer<typeof NetworkExplanation>

export const NetworkState = z
  .object({
    network: Network,
    addresses: z.array(z.string()).meta({ description: 'Its own addresses; none without a network.' }),
    uploadedBytes: z.int(),
    downloadedBytes: z.int(),
    learned: z
      .array(z.string())
      .meta({ description: 'The shortest allow list that lets pass what was used.' }),
  })
  .meta({ id: 'NetworkState' })
export type NetworkState = z.infer<typeof NetworkState>
