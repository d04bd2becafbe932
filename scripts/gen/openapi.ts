import { readFileSync } from 'node:fs'
import { buildOpenApi } from '../../packages/server/src/api/v1/openapi.ts'

/** The document that a server of this version answers with at /v1/openapi.json. */
export function openapiDocument(): string {
  return `${JSON.stringify(buildOpenApi(serverVersion()), null, 2)}\n`
}

function serverVersion(): string {
  const file = new URL('../../packages/server/package.json', import.meta.url)
  return JSON.parse(readFileSync(file, 'utf8')).version
}
