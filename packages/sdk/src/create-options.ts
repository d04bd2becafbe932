import type { CreateSandbox } from '@caisson/protocol/resources'
import { Client, type ClientOptions } from './client.ts'
import type { FilesToCreate } from './file-list.ts'

/** Which server, and when to give up. */
export interface ConnectOptions {
  /** A client to share; or the options to make one. Default: one for the process, see `ClientOptions`. */
  client?: Client | ClientOptions | undefined
  signal?: AbortSignal | undefined
}

/** What a sandbox is to be, and on which server. */
export interface CreateOptions extends Omit<CreateSandbox, 'files'>, ConnectOptions {
  files?: FilesToCreate
}

/** Clients by what they connect to, so that calls with the same options share their connections. */
const clients = new Map<string, Client>()

export function clientOf(client: Client | ClientOptions = {}): Client {
  if (client instanceof Client) return client
  const { url, apiKey, dataDir, ...custom } = client
  if (Object.keys(custom).length > 0) return new Client(client)
  const key = JSON.stringify([url, apiKey, dataDir])
  const known = clients.get(key) ?? new Client(client)
  clients.set(key, known)
  return known
}
