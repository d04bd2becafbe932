import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../fixture.ts'
import { cannotSave, garbage, startSaving } from '../saved/world.ts'
import { layer, layout } from './image.ts'
import { failure } from './world.ts'

const missing = cannotSave ?? ['skopeo', 'docker-registry'].map(absent).find((reason) => reason !== null)

function absent(program: string): string | null {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' })
    return null
  } catch {
    return `${program} is not installed (apt-get install ${program})`
  }
}

describe.skipIf(missing !== undefined && missing !== null)(
  `images of registries${missing ? ` (${missing})` : ''}`,
  () => {
    let server: TestServer
    let client: Client
    let registry: ChildProcess
    let directory: string
    let address: string

    beforeAll(async () => {
      directory = await mkdtemp('/tmp/caisson-registry-')
      address = `127.0.0.1:${await freePort()}`
      registry = await startRegistry(directory, address)
      server = await startSaving()
      client = server.client()
    }, 60_000)
    afterAll(async () => {
      await server?.[Symbol.asyncDispose]()
      registry?.kill('SIGKILL')
      await rm(directory, { recursive: true, force: true })
    })

    test('one is fetched by its tag, and by its digest', async () => {
      const file = join(directory, 'image.tar')
      await writeFile(file, await layout([await layer([{ path: 'hello', text: 'from a registry' }])]))
      const { stdout } = await promisify(execFile)('skopeo', [
        ...['copy', '--dest-tls-verify=false', '--digestfile', join(directory, 'digest')],
        ...[`oci-archive:${file}`, `docker://${address}/test/image:1`],
      ]).catch((error) => ({ stdout: `${error.stderr}` }))
      expect(stdout).not.toContain('level=fatal')
      const steps: string[] = []
      const reference = `${address}/test/image:1`
      const onStep = (step: string) => steps.push(step)
      const made = await client.runtimes.import('fetched:1', { reference, insecure: true }, { onStep })
      expect(made.description).toContain(reference)
      expect(steps[0]).toBe(`fetching ${reference}`)
      await using box = await Sandbox.create({ client, runtime: 'fetched:1' })
      expect(await box.files.readText('/hello')).toBe('from a registry')
      expect(await readdir(join(server.dataDir, 'imports'))).toEqual([])
    })

    test('what cannot be fetched is told with the reason, and leaves nothing', async () => {
      const none = await failure(
        client.runtimes.import('none:1', { reference: `${address}/no/such:1`, insecure: true }),
      )
      expect(none).toMatchObject({ code: 'build_failed' })
      expect(none.message).toContain('could not be fetched')
      const plain = await failure(client.runtimes.import('none:1', { reference: `${address}/test/image:1` }))
      expect(plain.message).toMatch(/HTTPS|tls/i)
      expect(await readdir(join(server.dataDir, 'imports'))).toEqual([])
      expect(await garbage(client)).toEqual([])
    })

    test('the way there is by the operator’s proxy', async () => {
      const asked: string[] = []
      const proxy = await listen(
        createServer((request, response) => {
          asked.push(`${request.method} ${request.url}`)
          response.writeHead(404).end()
        }),
      )
      const { port } = proxy.address() as AddressInfo
      await using behind = await startSaving({ env: { CAISSON_BUILD_PROXY: `http://127.0.0.1:${port}` } })
      const image = { reference: 'registry.invalid/a/b:1', insecure: true }
      expect(await failure(behind.client().runtimes.import('none:1', image))).toMatchObject({
        code: 'build_failed',
      })
      proxy.close()
      proxy.closeAllConnections()
      expect(asked.join('\n')).toContain('registry.invalid')
    })
  },
)

async function startRegistry(directory: string, address: string): Promise<ChildProcess> {
  const config = join(directory, 'config.yml')
  await writeFile(
    config,
    `version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: ${directory}/data\nhttp:\n  addr: ${address}\n`,
  )
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' })
  for (let tries = 0; tries < 200; tries++, await sleep(50))
    if (
      await fetch(`http://${address}/v2/`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return child
  child.kill('SIGKILL')
  throw new Error('the registry did not answer')
}

async function freePort(): Promise<number> {
  const server = await listen(createServer())
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

function listen(server: Server): Promise<Server> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}
