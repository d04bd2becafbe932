import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Answers, serverOf } from '../../packages/sdk/src/fake-server.test-kit.ts'
import { type CliOptions, runCli, temporaryDirectory } from '../test-server.ts'

/** A command line whose server gives these answers. */
async function cliOf(answers: Answers) {
  const { url, asked, requests } = await serverOf(answers)
  const cli = (args: string[], options: CliOptions = {}) =>
    runCli(args, { ...options, env: { PATH: process.env.PATH, NO_COLOR: '1', CAISSON_URL: url } })
  return { cli, asked, requests }
}

const snapshot = { id: 'snp_1', name: 'ml', tag: 'v1' }

describe('a snapshot as a file', () => {
  const answers = {
    'GET /v1/snapshots/ml%3Av1/archive': 'the bytes',
    'POST /v1/snapshots/import': snapshot,
  }

  test('is written to a file or to stdout', async () => {
    await using folder = await temporaryDirectory()
    const { cli } = await cliOf(answers)
    const written = await cli(['snapshot', 'export', 'ml:v1', 'ml.tar.zst'], { cwd: folder.path })
    expect(written).toMatchObject({ code: 0, stdout: 'ml.tar.zst: 9 B\n' })
    expect(readFileSync(join(folder.path, 'ml.tar.zst'), 'utf8')).toBe('the bytes')
    expect(await cli(['snapshot', 'export', 'ml:v1', '-'])).toMatchObject({ code: 0, stdout: 'the bytes' })
    expect(await cli(['snapshot', 'export', 'ml:v1', '-', '--json'])).toMatchObject({ code: 2 })
  })

  test('that breaks off is no file, and leaves one that was there', async () => {
    await using folder = await temporaryDirectory()
    const server = createServer((_, answer) => {
      answer.writeHead(200, { 'content-length': '1000' })
      answer.write('half', () => answer.destroy())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const env = {
      PATH: process.env.PATH,
      CAISSON_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    }
    const run = () => runCli(['snapshot', 'export', 'ml', 'out'], { env, cwd: folder.path })
    expect(await run()).toMatchObject({ code: 1, stdout: '' })
    expect(readdirSync(folder.path)).toEqual([])
    writeFileSync(join(folder.path, 'out'), 'old')
    expect((await run()).code).toBe(1)
    expect(readFileSync(join(folder.path, 'out'), 'utf8')).toBe('old')
  })

  test('is sent from a file or from stdin', async () => {
    await using folder = await temporaryDirectory()
    writeFileSync(join(folder.path, 'in'), 'the bytes')
    const { cli, asked } = await cliOf(answers)
    const sent = await cli(['snapshot', 'import', 'in', '--name', 'other'], { cwd: folder.path })
    expect(sent).toMatchObject({ code: 0, stdout: 'snp_1\n', stderr: 'caisson: imported as ml:v1\n' })
    await cli(['snapshot', 'import', '-'], { input: 'from stdin' })
    expect(asked.map(({ request, body }) => [request, body])).toEqual([
      ['POST /v1/snapshots/import?name=other', 'the bytes'],
      ['POST /v1/snapshots/import', 'from stdin'],
    ])
    const missing = await cli(['snapshot', 'import', 'missing'], { cwd: folder.path })
    expect(missing).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('does not exist on this machine'),
    })
    expect(existsSync(join(folder.path, 'missing'))).toBe(false)
  })
})

describe('a runtime', () => {
  const runtime = { id: 'alpine:3', name: 'Alpine', built: true }
  const lines = (...values: object[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('')

  test('tells the steps of its build on stderr', async () => {
    const { cli, requests } = await cliOf({
      'POST /v1/runtimes/node%3Alts/build': lines({ step: 'unpacking \u001b[31mred' }, { runtime }),
    })
    expect(await cli(['runtime', 'build', 'node:lts', '--force'])).toMatchObject({
      code: 0,
      stdout: 'alpine:3\n',
      stderr: 'caisson: unpacking red\n',
    })
    expect(requests()).toEqual(['POST /v1/runtimes/node%3Alts/build?force=true'])
    expect((await cli(['rt', 'build', 'node:lts', '--quiet'])).stderr).toBe('')
    const whole = await cli(['rt', 'build', 'node:lts', '--json'])
    expect([JSON.parse(whole.stdout), whole.stderr]).toEqual([runtime, ''])
  })

  test('whose build fails ends with the reason', async () => {
    const error = { code: 'build_failed', message: 'apt said no.' }
    const { cli } = await cliOf({ 'POST /v1/runtimes/a/build': lines({ step: 'one' }, { error }) })
    expect(await cli(['runtime', 'build', 'a'])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'caisson: one\ncaisson: apt said no.\n',
    })
  })

  test('is imported from a registry or from an archive', async () => {
    const { cli, asked } = await cliOf({ 'POST /v1/runtimes/import': lines({ runtime }) })
    const from = ['runtime', 'import', 'alpine:3', '--from', 'localhost:5000/alpine:3', '--insecure']
    expect((await cli(from)).stdout).toBe('alpine:3\n')
    expect((await cli(['runtime', 'import', 'alpine:3', '-'], { input: 'archive' })).code).toBe(0)
    expect(asked.map(({ request, body }) => [request, body])).toEqual([
      ['POST /v1/runtimes/import?name=alpine%3A3&reference=localhost%3A5000%2Falpine%3A3&insecure=true', ''],
      ['POST /v1/runtimes/import?name=alpine%3A3', 'archive'],
    ])
    expect((await cli([...from, 'file'])).code).toBe(2)
    expect((await cli(['runtime', 'import', 'alpine:3', 'file', '--insecure'])).code).toBe(2)
  })

  test('is deleted', async () => {
    const { cli, requests } = await cliOf({})
    expect((await cli(['rt', 'rm', 'alpine:3', '--confirm'])).stdout).toBe('deleted alpine:3\n')
    expect(requests()).toEqual(['DELETE /v1/runtimes/alpine%3A3'])
  })
})

test('what garbage collection removes is told', async () => {
  const removed = [{ kind: 'saved', id: 'sav_1', bytes: 2048, reason: 'nothing names it' }]
  const { cli, asked } = await cliOf({ 'POST /v1/storage/gc': { dryRun: false, freedBytes: 2048, removed } })
  expect(await cli(['gc'])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/KIND +ID[^\n]*\nsaved +sav_1 +2 KiB +nothing names it/),
    stderr: 'caisson: freed 2 KiB\n',
  })
  await cli(['gc', '--dry-run', '--json'])
  expect(asked.map(({ body }) => body)).toEqual([{ dryRun: false }, { dryRun: true }])
})
