import { operations } from '../../packages/protocol/src/operations.ts'

/** Method and path of every operation without its schemas, so that clients need no zod. */
export function routesModule(): string {
  const rows = Object.entries(operations).map(([name, operation]) => {
    const [method, path] = operation.http.split(' ')
    return `  ${name}: { method: '${method}', path: '${path}' },`
  })
  return [
    '// Generated from operations.ts by "npm run gen". Do not edit.',
    'export const routes = {',
    ...rows,
    '} as const',
    '',
  ].join('\n')
}
