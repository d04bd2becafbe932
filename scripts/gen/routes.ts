import { type Operation, operations } from '../../packages/protocol/src/operations.ts'

/** Method and path of every operation without its schemas, so that clients need no zod; `bodyless`: what it takes is in the query. */
export function routesModule(): string {
  const rows = Object.entries(operations).map(([name, operation]) => {
    const [method, path] = operation.http.split(' ')
    const bodyless = method !== 'GET' && method !== 'DELETE' && !hasBody(operation) ? ', bodyless: true' : ''
    return `  ${name}: { method: '${method}', path: '${path}'${bodyless} },`
  })
  return [
    '// Generated from operations.ts by "npm run gen". Do not edit.',
    'export const routes = {',
    ...rows,
    '} as const',
    '',
  ].join('\n')
}

const hasBody = ({ body, upload }: Operation): boolean => body !== undefined || upload === true
