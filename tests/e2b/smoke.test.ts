import { describe, expect } from 'vitest'
import { cannotNetwork, test } from './fixture.ts'

describe.skipIf(cannotNetwork)('the fixture', () => {
  test('answers through the namespace', async ({ e2b }) => {
    const answer = await fetch(`${e2b.url}/v1/server`, { headers: { authorization: `Bearer ${e2b.apiKey}` } })
    expect(answer.status).toBe(200)
  })
})
