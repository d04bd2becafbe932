import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Answers, type Asked, serverOf } from '../fake-server.test-kit.ts'

const BUILD = `version: 1
runtime: base
name: ml
description: for learning
dependencies: [curl]
files: ["**"]
env: { KEY: "\${KEY}" }
metadata: { team: a }
`

function project(): string {
  const root = mkdtempSync(join(tmpdir(), 'caisson-build-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  writeFileSync(join(root, 'caisson-snapshot.yaml'), BUILD)
  writeFileSync(join(root, 'a.txt'), 'contents\n')
  symlinkSync('a.txt', join(root, 'link'))
  return root
}

const saved = ({ body }: Asked) => ({ id: 'snp_new', ...(body as object) })
const ANSWERS: Answers = {
  'GET /v1/snapshots': { snapshots: [], total: 0 },
  'POST /v1/sandboxes': { id: 'sbx_1', resources: {} },
  'POST /v1/sandboxes/sbx_1/files/archive': { files: 1, directories: 0, links: 1, bytes: 9 },
  'POST /v1/sandboxes/sbx_1/snapshots': saved,
  'DELETE /v1/sandboxes/sbx_1': { id: 'sbx_1', status: 'terminated' },
}
const env = { KEY: 'secret' }
const short = (requests: string[]) => requests.map((request) => request.split('?')[0])
const STEPS = Object.keys(ANSWERS)

describe('a build', () => {
  test('makes a sandbox, sends the files, saves it and deletes it', async () => {
    const { client, asked, requests } = await serverOf(ANSWERS)
    const lines: string[] = []
    const { snapshot, built, plan } = await client.snapshots.build(project(), {
      env,
      tag: 'v1',
      onProgress: (line) => lines.push(line),
    })
    expect(built).toBe(true)
    expect(short(requests())).toEqual(STEPS)
    expect(asked[1]?.body).toEqual({
      runtime: 'base',
      ttl: '1h',
      dependencies: ['curl'],
      env: { KEY: 'secret' },
      metadata: { caisson: 'build' },
    })
    expect(requests()[2]).toContain(`path=${encodeURIComponent('/home/agent/workspace')}`)
    expect(listed(String(asked[2]?.body))).toEqual(['a.txt', 'link'])
    expect(snapshot).toEqual({
      id: 'snp_new',
      name: 'ml',
      tag: 'v1',
      description: 'for learning',
      public: false,
      confirm: false,
      env: true,
      metadata: { team: 'a' },
      contentHash: plan.contentHash,
    })
    expect(lines.at(-1)).toBe('built ml:v1, snp_new')
    expect(lines.join()).not.toContain('secret')
  })

  const found = (snapshots: object[]) => ({ ...ANSWERS, 'GET /v1/snapshots': { snapshots, total: 1 } })
  const old = { id: 'snp_old', name: 'ml', tag: 'latest', public: false }

  test('of what is there already builds nothing, unless that is forced', async () => {
    const { client, requests } = await serverOf(found([old]))
    const root = project()
    const result = await client.snapshots.build(root, { env })
    expect(result).toMatchObject({ built: false, snapshot: old })
    expect(requests()).toEqual([
      expect.stringMatching(/^GET \/v1\/snapshots\?name=ml&contentHash=[0-9a-f]{64}/),
    ])
    expect((await client.snapshots.build(root, { env, force: true })).built).toBe(true)
    expect(short(requests()).slice(1)).toEqual(STEPS.slice(1))
  })

  test('gives the tag to one that has none', async () => {
    const tagged = { ...old, tag: 'v2' }
    const { client, asked } = await serverOf({
      ...found([
        { ...old, tag: 'other' },
        { ...old, id: 'snp_free', tag: null },
      ]),
      'PUT /v1/snapshots/snp_free/tag': tagged,
    })
    expect(await client.snapshots.build(project(), { env, tag: 'v2' })).toMatchObject({
      built: false,
      snapshot: tagged,
    })
    expect(asked[1]?.body).toEqual({ tag: 'v2' })
  })

  test.each([
    ['under another tag', { ...old, tag: 'v1' }],
    ['that is public', { ...old, public: true }],
  ])('does not count one %s', async (_, other) => {
    const { client } = await serverOf(found([other]))
    expect((await client.snapshots.build(project(), { env })).built).toBe(true)
  })

  test.each(['POST /v1/sandboxes/sbx_1/files/archive', 'POST /v1/sandboxes/sbx_1/snapshots'])(
    'that fails at %s deletes its sandbox',
    async (step) => {
      const { client, requests } = await serverOf({ ...ANSWERS, [step]: new Error('save_failed') })
      await expect(client.snapshots.build(project(), { env })).rejects.toMatchObject({ code: 'save_failed' })
      expect(requests().at(-1)).toBe('DELETE /v1/sandboxes/sbx_1')
    },
  )

  test('that is stopped deletes its sandbox', async () => {
    const stop = new AbortController()
    const { client, requests } = await serverOf({
      ...ANSWERS,
      'POST /v1/sandboxes/sbx_1/files/archive': () => stop.abort(),
    })
    await expect(client.snapshots.build(project(), { env, signal: stop.signal })).rejects.toThrow()
    expect(requests().at(-1)).toBe('DELETE /v1/sandboxes/sbx_1')
  })

  test.each([
    ['changes', 'CONTENTS\n'],
    ['grows', 'contents\nand more\n'],
    ['shrinks', 'c'],
  ])('of a file that %s meanwhile fails', async (_, text) => {
    const root = project()
    const { client, requests } = await serverOf({
      ...ANSWERS,
      'POST /v1/sandboxes': () => {
        writeFileSync(join(root, 'a.txt'), text)
        return ANSWERS['POST /v1/sandboxes']
      },
    })
    await expect(client.snapshots.build(root, { env })).rejects.toThrow(/"a.txt" has changed/)
    expect(requests()).not.toContain('POST /v1/sandboxes/sbx_1/snapshots')
    expect(requests().at(-1)).toBe('DELETE /v1/sandboxes/sbx_1')
  })

  test('of a file that becomes a link meanwhile does not follow it', async () => {
    const root = project()
    const { client } = await serverOf({
      ...ANSWERS,
      'POST /v1/sandboxes': () => {
        rmSync(join(root, 'a.txt'))
        symlinkSync('/etc/hostname', join(root, 'a.txt'))
        return ANSWERS['POST /v1/sandboxes']
      },
    })
    await expect(client.snapshots.build(root, { env })).rejects.toThrow(
      /"a.txt" could not be read again: ELOOP/,
    )
  })

  test('with a mistake in its file, or in its tag, sends nothing', async () => {
    const { client, requests } = await serverOf(ANSWERS)
    await expect(client.snapshots.build(project(), { env, tag: 'a b' })).rejects.toThrow(/The tag "a b" must/)
    await expect(client.snapshots.build(project())).rejects.toThrow(/needs KEY/)
    expect(requests()).toEqual([])
  })
})

const listed = (archive: string): string[] =>
  execFileSync('tar', ['t'], { input: archive, encoding: 'utf8' }).trim().split('\n')

test('this file reads the same from the entry for builds', async () => {
  const { planSnapshot, snapshotTemplate } = await import('caisson/build')
  const root = project()
  writeFileSync(join(root, 'caisson-snapshot.yaml'), snapshotTemplate())
  expect(readFileSync(join(root, 'caisson-snapshot.yaml'), 'utf8')).toContain('version: 1')
  expect((await planSnapshot(root, { name: 'x' })).name).toBe('x')
})
