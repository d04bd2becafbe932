import { ERRORS } from '@caisson/protocol/errors'
import { type Operation, operations } from '@caisson/protocol/operations'
import { describe, expect, test } from 'vitest'
import { examples } from '../../packages/server/src/api/v1/examples.ts'
import { buildOpenApi } from '../../packages/server/src/api/v1/openapi.ts'
import { startServer } from './server.ts'

const rows = Object.entries(operations) as [keyof typeof operations, Operation][]
// biome-ignore lint/suspicious/noExplicitAny: the document is looked into by path.
const document = buildOpenApi('0.1.0') as any

describe.each(rows)('%s', (name, operation) => {
  const example = examples[name] as Record<string, unknown>

  test.each(['params', 'query', 'body', 'output'] as const)('its example has valid %s', (part) => {
    const schema = operation[part]
    if (schema === undefined) expect(example[part]).toBeUndefined()
    else expect(schema.safeParse(example[part] ?? {}).error).toBeUndefined()
  })

  test('is described with its errors', () => {
    const [method, path] = operation.http.split(' ') as [string, string]
    const described = document.paths[path][method.toLowerCase()]
    expect(described.operationId).toBe(name)
    for (const code of operation.errors) {
      expect(described.responses[ERRORS[code].status]['x-codes']).toContain(code)
    }
  })
})

test('every reference leads somewhere', () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, ref]) => ref!)
  expect(references.length).toBeGreaterThan(50)
  for (const reference of references) {
    const name = reference.replace('#/components/schemas/', '')
    expect(document.components.schemas).toHaveProperty(name)
  }
})

test('requests may not hold more than they say, answers may', () => {
  expect(document.components.schemas.CreateSandbox.additionalProperties).toBe(false)
  expect(document.components.schemas.Sandbox.additionalProperties).toBeUndefined()
})

test('the server answers with the document', async () => {
  await using server = await startServer()
  expect((await server.fetch('GET', '/v1/openapi.json')).json).toEqual(JSON.parse(JSON.stringify(document)))
})
