import type { Sandbox } from '@caisson/protocol/resources'
import { expect, test } from 'vitest'
import type { UseCases } from '../../sandboxes/use-cases.ts'
import { toSandboxId } from './ids.ts'
import { listingRoutes } from './listing.ts'
import type { Call, Dialect } from './route.ts'

const LETTERS = 'abcdefghijklmnopqrstuvwxyz'

/** Sandboxes in the order of their creation, of which some were made in the same instant. */
function made(times: number[]): Sandbox[] {
  return times.map((time, at) => {
    const id = `sbx_${'a'.repeat(17)}${LETTERS[Math.floor(at / 26) % 26]}${LETTERS[at % 26]}${LETTERS[Math.floor(at / 676)]}`
    return {
      ...{ id, status: 'idle', runtime: 'e2b-base:latest', templateId: null, snapshotId: null },
      ...{ createdAt: new Date(time).toISOString(), expiresAt: null, pause: null, metadata: {}, volumes: [] },
      resources: { asked: {}, granted: { memoryBytes: 2 ** 29, cpuMillis: 1500, pids: 8, diskBytes: null } },
    } as unknown as Sandbox
  })
}

/** As the server's own list is: in pages of at most a hundred. `asked` is called for each. */
function dialectOf(sandboxes: Sandbox[], asked: () => void = () => {}): Dialect {
  const listSandboxes: UseCases['listSandboxes'] = async ({ limit, offset, createdAfter = '' }) => {
    const page = sandboxes.filter(({ createdAt }) => createdAt >= createdAfter).slice(offset, offset + limit)
    asked()
    return { sandboxes: page, total: sandboxes.length }
  }
  return { useCases: { listSandboxes } as UseCases } as Dialect
}

async function list(dialect: Dialect, query = ''): Promise<{ ids: string[]; next: string | undefined }> {
  const route = listingRoutes(dialect).find(({ path }) => path === '/v2/sandboxes')
  const answer = await route!.handle({ query: new URLSearchParams(query) } as Call)
  if (!('json' in answer)) throw new Error('no JSON')
  const ids = (answer.json as { sandboxID: string }[]).map(({ sandboxID }) => sandboxID)
  return { ids, next: answer.headers?.['x-next-token'] }
}

async function listAll(dialect: Dialect, query: string): Promise<string[]> {
  const found: string[] = []
  let next: string | undefined
  do {
    const page = await list(dialect, `${query}${next === undefined ? '' : `&nextToken=${next}`}`)
    found.push(...page.ids)
    next = page.next
  } while (next !== undefined)
  return found
}

test.each([
  ['each at its own time', (at: number) => at],
  ['all at one time', () => 5],
  ['many at one time in the middle', (at: number) => (at < 50 ? at : at < 400 ? 50 : at)],
])('hundreds of sandboxes, made %s, are listed once each', async (_, time) => {
  const sandboxes = made(Array.from({ length: 450 }, (_, at) => time(at)))
  const ids = sandboxes.map(({ id }) => toSandboxId(id))
  const found = await listAll(dialectOf(sandboxes), 'order=asc&limit=37')
  expect(found.toSorted()).toEqual(ids.toSorted())
})

test('sandboxes that end while the list is read hide no others', async () => {
  const sandboxes = made(Array.from({ length: 350 }, (_, at) => at))
  const kept = sandboxes.filter((_, at) => at >= 60).map(({ id }) => toSandboxId(id))
  const dialect = dialectOf(sandboxes, () => sandboxes.splice(0, 60 - Math.max(0, 350 - sandboxes.length)))
  const { ids } = await list(dialect, 'limit=100&order=desc')
  expect(ids).toEqual(kept.toReversed().slice(0, 100))
  expect(await listAll(dialect, 'order=asc')).toEqual(kept)
})

test('what is shown of a sandbox is what clients insist on', async () => {
  const route = listingRoutes(dialectOf(made([0])))[1]
  const answer = await route!.handle({ query: new URLSearchParams() } as Call)
  expect(answer).toEqual({
    headers: {},
    json: [
      {
        ...{ sandboxID: expect.stringMatching(/^i[a-z2-7]{20}$/), templateID: 'base', alias: 'base' },
        ...{ clientID: 'caisson', envdVersion: '0.6.13', state: 'running', metadata: {}, volumeMounts: [] },
        ...{ startedAt: '1970-01-01T00:00:00.000Z', endAt: '9999-01-01T00:00:00.000Z' },
        ...{ cpuCount: 2, memoryMB: 512, diskSizeMB: 0 },
      },
    ],
  })
})
