import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Template as MoruTemplate } from '@moru-ai/core'
import { BuildError, Sandbox, Template, TemplateError, waitForFile, waitForPort } from 'e2b'
import { Template as Template245 } from 'e2b-2.45'
import { describe, expect, onTestFinished, vi } from 'vitest'
import { cannotNetwork, type E2b, test } from './fixture.ts'

/** A sandbox of a template, while something is done with it. */
async function within<T>(e2b: E2b, template: string, work: (sandbox: Sandbox) => Promise<T>): Promise<T> {
  const sandbox = await Sandbox.create(template, { ...e2b.options, allowInternetAccess: false })
  try {
    return await work(sandbox)
  } finally {
    await sandbox.kill()
  }
}

async function read(e2b: E2b, template: string, path: string): Promise<string> {
  return within(e2b, template, async (sandbox) => (await sandbox.files.read(path)).trim())
}

async function get(e2b: E2b, path: string) {
  const answer = await fetch(`${e2b.url}${path}`, { headers: { 'x-api-key': e2b.apiKey } })
  return { status: answer.status, json: await answer.json(), headers: answer.headers }
}

describe.skipIf(cannotNetwork)('templates', { timeout: 240_000 }, () => {
  test('all kinds of steps, and a program that runs from the start', async ({ e2b }) => {
    const context = await mkdtemp(join(tmpdir(), 'caisson-template-'))
    try {
      await mkdir(join(context, 'app/sub'), { recursive: true })
      await writeFile(join(context, 'app/one.txt'), 'one')
      await writeFile(join(context, 'app/sub/two.txt'), 'two')
      await writeFile(join(context, 'run.sh'), '#!/bin/sh\necho ran\n')
      await chmod(join(context, 'run.sh'), 0o755)
      await symlink('one.txt', join(context, 'app/link'))
      const logs: string[] = []
      const template = Template({ fileContextPath: context })
        .fromBaseImage()
        .setEnvs({ GREETING: 'hello', EMPTY: '' })
        .copy('app', '/srv/app', { user: 'root', mode: 0o755 })
        .copy('run.sh', '/usr/local/bin/run-it', { user: 'root' })
        .copyItems([
          { src: 'app/one.txt', dest: '/home/user/items/' },
          { src: 'app/sub', dest: '/home/user/items/sub' },
        ])
        .makeDir('/home/user/made/deep', { mode: 0o700 })
        .makeSymlink('/home/user/items/one.txt', '/home/user/made/link')
        .rename('/home/user/items/sub', '/home/user/items/moved')
        .remove('/home/user/items/moved/none', { force: true })
        .setWorkdir('/srv/app')
        .runCmd('echo "$GREETING $(pwd) $(id -un)" > /tmp/seen && echo told')
        .setUser('root')
        .runCmd(['id -un > /srv/who', 'chmod 644 /srv/who'])
        .setUser('user')
        .setStartCmd('echo started > /tmp/started; exec python3 -m http.server 8123', waitForPort(8123))
      const built = await Template.build(template, 'all-kinds:v1', {
        ...e2b.options,
        tags: ['stable'],
        cpuCount: 1,
        memoryMB: 512,
        onBuildLogs: ({ message }) => logs.push(message),
      })
      expect(built).toMatchObject({ alias: 'all-kinds:v1', tags: ['v1', 'stable'] })
      expect(logs.join('\n')).toContain('told')
      await within(e2b, 'all-kinds:stable', async (sandbox) => {
        expect(await sandbox.getInfo()).toMatchObject({
          templateId: built.templateId,
          name: 'all-kinds',
          cpuCount: 1,
          memoryMB: 512,
        })
        expect((await sandbox.files.read('/tmp/seen')).trim()).toBe('hello /srv/app user')
        expect((await sandbox.files.read('/srv/who')).trim()).toBe('root')
        expect(await sandbox.files.read('made/link')).toBe('one')
        expect(await sandbox.files.read('items/moved/two.txt')).toBe('two')
        expect((await sandbox.files.getInfo('made/deep')).permissions).toBe('drwx------')
        const { stdout } = await sandbox.commands.run(
          'pwd; id -un; echo $GREETING; cat one.txt sub/two.txt link; run-it; stat -c %a:%U one.txt; curl -s localhost:8123 | grep -c one.txt',
        )
        expect(stdout).toBe('/srv/app\nuser\nhello\nonetwooneran\n755:root\n1\n')
        expect((await sandbox.files.read('/tmp/started')).trim()).toBe('started')
      })
      const listed = await Sandbox.list({ ...e2b.options, query: { template: 'all-kinds' } }).nextItems()
      expect(listed).toEqual([])
      await expect(Sandbox.create('all-kinds', e2b.options)).rejects.toThrow('404')
    } finally {
      await rm(context, { recursive: true })
    }
  })

  test('names, tags and what they mean', async ({ e2b }) => {
    const { options } = e2b
    const version = (text: string) =>
      Template().fromTemplate('base').runCmd(`echo ${text} > /home/user/version`)
    expect(await Template.exists('tagged', options)).toBe(false)
    const one = await Template.build(version('one'), 'Tagged', options)
    expect(one).toMatchObject({ tags: ['default'] })
    expect(await Template.exists('tagged', options)).toBe(true)
    expect(await Template.aliasExists('tagged', options)).toBe(true)
    expect(await Template.exists('tagged:v9', options)).toBe(false)
    expect(await Template.exists('base', options)).toBe(true)
    const two = await Template.build(version('two'), 'tagged', { ...options, tags: ['next'] })
    expect(two.templateId).toBe(one.templateId)
    expect(await read(e2b, 'tagged', '/home/user/version')).toBe('one')
    expect(await read(e2b, 'tagged:next', '/home/user/version')).toBe('two')

    expect(await Template.assignTags('tagged:next', ['v2', 'default'], options)).toEqual({
      buildId: two.buildId,
      tags: ['v2', 'default'],
    })
    expect(await read(e2b, 'tagged', '/home/user/version')).toBe('two')
    const tags = await Template.getTags('tagged', options)
    expect(Object.fromEntries(tags.map(({ tag, buildId }) => [tag, buildId]))).toEqual({
      default: two.buildId,
      latest: one.buildId,
      next: two.buildId,
      v2: two.buildId,
    })
    await Template.removeTags('tagged', ['next'], options)
    await expect(Template.removeTags('tagged', ['next'], options)).rejects.toThrow(TemplateError)
    await expect(Template.assignTags('tagged:next', 'v3', options)).rejects.toThrow('404')
    await expect(Template.assignTags('absent:next', 'v3', options)).rejects.toThrow('404')
    await expect(Template.getTags('absent', options)).rejects.toThrow('404')

    // A template on a template, and what our own client calls it.
    await Template.build(
      Template().fromTemplate('tagged:v2').runCmd('echo more > /home/user/more'),
      'derived',
      options,
    )
    expect(await read(e2b, 'derived', '/home/user/version')).toBe('two')
    const ours = await e2b.server.client().call('createSandbox', { template: 'derived' })
    expect(ours.templateId).toMatch(/^tpl_/)
    await e2b.server.client().call('deleteSandbox', { id: ours.id })

    const { json } = await get(e2b, `/templates/${one.templateId}`)
    expect(json).toMatchObject({ templateID: one.templateId, names: ['tagged'] })
    expect(json.builds.map(({ buildID }: { buildID: string }) => buildID)).toEqual([two.buildId, one.buildId])
    const list = await get(e2b, '/v2/templates?limit=1')
    expect(list.json).toHaveLength(1)
    expect(list.headers.get('x-next-token')).not.toBeNull()
    const names = (await get(e2b, '/templates')).json.flatMap(
      (template: { names: string[] }) => template.names,
    )
    expect(names).toEqual(expect.arrayContaining(['tagged', 'derived']))
    expect(await Sandbox.deleteSnapshot('derived', options)).toBe(true)
    expect(await Template.exists('derived', options)).toBe(false)
  })

  test('a build in the background is told of, page by page', async ({ e2b }) => {
    const template = Template().fromBaseImage().runCmd('for i in $(seq 250); do echo line $i; done')
    const info = await Template.buildInBackground(template, 'background', e2b.options)
    const seen: string[] = []
    await expect
      .poll(
        async () => {
          const status = await Template.getBuildStatus(info, { ...e2b.options, logsOffset: seen.length })
          expect(status.logEntries.length).toBeLessThanOrEqual(100)
          seen.push(...status.logEntries.map(({ message }) => message))
          return status.status === 'ready' && status.logEntries.length === 0
        },
        { timeout: 120_000 },
      )
      .toBe(true)
    expect(seen.filter((message) => /\bline \d/.test(message))).toHaveLength(250)
    const at = `/templates/${info.templateId}/builds/${info.buildId}`
    const { logs } = (await get(e2b, `${at}/logs?limit=100&direction=backward`)).json
    expect(logs).toHaveLength(100)
    expect((await get(e2b, `${at}/logs?level=error`)).json.logs).toEqual([])
    expect((await get(e2b, `/templates/${info.templateId}/builds/bld_absent/status`)).status).toBe(404)
    expect((await get(e2b, `/templates/base/builds/${info.buildId}/status`)).status).toBe(404)
  })

  test('other bases, and a condition without a program', async ({ e2b }) => {
    const { options } = e2b
    const waits = Template().fromBaseImage().runCmd('touch /tmp/there').setReadyCmd(waitForFile('/tmp/there'))
    await Template.build(waits, 'waits', options)
    expect(await read(e2b, 'waits', '/tmp/there')).toBe('')
    const sandbox = await Sandbox.create('waits', options)
    await sandbox.files.write('note', 'saved')
    const { snapshotId } = await sandbox.createSnapshot()
    await sandbox.kill()
    const onSnapshot = Template().fromTemplate(snapshotId).runCmd('cat note > copy')
    await Template.build(onSnapshot, 'on-snapshot', options)
    expect(await read(e2b, 'on-snapshot', 'copy')).toBe('saved')
    const dockerfile = 'FROM e2bdev/base\nENV A=b\nWORKDIR /opt\nRUN echo $A > /tmp/seen\n'
    await Template.build(Template().fromDockerfile(dockerfile), 'from-dockerfile', options)
    expect(await read(e2b, 'from-dockerfile', '/tmp/seen')).toBe('b')
    const ours = Template().fromImage('base:latest').runCmd('echo "$(id -un) $(pwd)" > seen')
    await Template.build(ours, 'on-ours', options)
    await within(e2b, 'on-ours', async (sandbox) => {
      expect((await sandbox.files.read('/home/user/seen')).trim()).toBe('user /home/user')
      expect((await sandbox.commands.run('id -un; pwd')).stdout).toBe('user\n/home/user\n')
    })
    // A registry that only this host reaches is for whoever may import runtimes.
    await expect(
      Template.buildInBackground(Template().fromImage('127.0.0.1:1/none:1'), 'nowhere', options),
    ).rejects.toThrow(/not a public one.*caisson runtime import/)
  })

  test('a step that fails is told with its place', async ({ e2b }) => {
    const template = Template().fromBaseImage().runCmd('echo fine').runCmd('echo trouble >&2; exit 3')
    const info = await Template.buildInBackground(template, 'failing', e2b.options)
    const status = async () => Template.getBuildStatus(info, e2b.options)
    await expect.poll(async () => (await status()).status, { timeout: 120_000 }).toBe('error')
    expect((await status()).reason).toMatchObject({ step: '2' })
    await expect(Template.build(template, 'failing', e2b.options)).rejects.toThrow(BuildError)
    await expect(Sandbox.create('failing', e2b.options)).rejects.toThrow('404')
    const never = Template().fromBaseImage().runCmd('true').setStartCmd('exit 4', waitForFile('/never'))
    const late = await Template.buildInBackground(never, 'never-ready', e2b.options)
    await expect
      .poll(async () => (await Template.getBuildStatus(late, e2b.options)).status, { timeout: 120_000 })
      .toBe('error')
    expect((await Template.getBuildStatus(late, e2b.options)).reason?.step).toBe('finalize')
  })

  test('other clients', async ({ e2b }) => {
    const built = await Template245.build(
      Template245().fromBaseImage().runCmd('echo 245 > /home/user/by'),
      'by-245',
      e2b.options,
    )
    expect(await read(e2b, built.templateId, '/home/user/by')).toBe('245')
    // Of the options it takes the key alone.
    vi.stubEnv('MORU_API_URL', e2b.url)
    onTestFinished(() => void vi.unstubAllEnvs())
    const template = MoruTemplate().fromBaseImage().runCmd('echo moru > /home/user/by')
    const moru = await MoruTemplate.build(template, { apiKey: e2b.apiKey, alias: 'by-moru' })
    expect(await read(e2b, moru.templateId, '/home/user/by')).toBe('moru')
    const behind = await MoruTemplate.buildInBackground(template, { apiKey: e2b.apiKey, alias: 'by-moru' })
    expect(behind.templateId).toBe(moru.templateId)
    const status = async () => (await MoruTemplate.getBuildStatus(behind, { apiKey: e2b.apiKey })).status
    await expect.poll(status, { timeout: 120_000 }).toBe('ready')
  })
})
