import { once } from 'node:events'
import { request } from 'node:http'
import type { Client } from 'caisson'
import { describe, expect, test } from 'vitest'
import { PORTS, PortWorld } from '../proxy/world.ts'
import { missing, SshWorld } from '../ssh/world.ts'

async function resumes(client: Client, id: string): Promise<unknown[]> {
  const { events } = await client.call('listEvents', { id, type: 'resume' })
  return events.map(({ payload }) => (payload as { by: string }).by)
}

test('a request to an exposed port is told that its sandbox is paused, and resumes nothing', async () => {
  await using world = await PortWorld.make()
  const { sandbox } = world
  await sandbox.pause()
  const answer = await world.ask('/')
  expect(answer).toMatchObject({ status: 503, json: { error: { code: 'invalid_transition' } } })
  expect(answer.headers['retry-after']).toBe('30')
  const page = await world.ask('/', { headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate' } })
  expect(page.text).toContain('The sandbox does not run')
  expect((await sandbox.refresh()).info.pause).not.toBeNull()
})

test('a request resumes a sandbox that wants it, once it is let in', async () => {
  await using world = await PortWorld.make({}, { resumeOnRequest: true })
  const { sandbox, server } = world
  const { token } = await sandbox.ports.link(PORTS.private)
  await sandbox.pause({ depth: 'memory' })
  expect((await world.ask('/', { to: PORTS.private })).status).toBe(401)
  expect((await world.ask('/', { to: 5555 })).status).toBe(502)
  expect((await sandbox.refresh()).info.pause).not.toBeNull()
  const headers = { 'caisson-port-token': token }
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => world.ask('/', { to: PORTS.private, headers })),
  )
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
  expect(await resumes(server.client(), sandbox.id)).toEqual(['port'])
})

test('every answer of a request that resumed says so', async () => {
  await using world = await PortWorld.make()
  const { sandbox, server } = world
  const header = async (path: string) => {
    const asking = request({ socketPath: server.socketPath, path: `/v1/sandboxes/${sandbox.id}${path}` })
    const [response] = await once(asking.end(), 'response')
    response.resume()
    return [response.statusCode, response.headers['caisson-auto-resumed']]
  }
  await sandbox.pause()
  expect(await header('/files/content?path=program.py')).toEqual([200, 'true'])
  expect(await header('/files/content?path=program.py')).toEqual([200, undefined])
  await sandbox.pause()
  expect(await header('/files/content?path=absent')).toEqual([404, 'true'])
})

const reason = missing()
describe.skipIf(reason)(`SSH ${reason}`, () => {
  test('a session resumes the sandbox', async () => {
    await using world = await SshWorld.make()
    await world.sandbox.pause()
    expect((await world.ssh(['echo resumed'])).stdout.toString()).toBe('resumed\n')
    expect(await resumes(world.server.client(), world.sandbox.id)).toEqual(['ssh'])
  })
})
