import { routes } from '@caisson/protocol/routes.gen'
import type { OperationName } from './contract.ts'
import type { Body, TransportRequest } from './transport/transport.ts'

/** Turns an operation and its flat input into a request: path parameters, then the query or the JSON body. */
export function buildRequest(
  operation: OperationName,
  input: Record<string, unknown>,
  headers: Record<string, string>,
  upload?: Body,
): TransportRequest {
  const route = routes[operation]
  const rest = { ...input }
  const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = rest[name]
    delete rest[name]
    return encodeURIComponent(String(value))
  })
  const { method } = route
  if (upload !== undefined)
    return {
      method,
      path: path + queryOf(rest),
      headers: withType(headers, 'application/octet-stream'),
      body: upload,
    }
  if (method === 'GET' || method === 'DELETE' || 'bodyless' in route)
    return { method, path: path + queryOf(rest), headers }
  return { method, path, headers: withType(headers, 'application/json'), body: JSON.stringify(rest) }
}

const withType = (headers: Record<string, string>, type: string) => ({ ...headers, 'content-type': type })

function queryOf(values: Record<string, unknown>): string {
  const pairs = Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`)
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`
}
