import { expect } from 'vitest'
import type { BuildLogRecord, BuildRecord, TemplateTagRecord } from '../../core/records.ts'
import { aBuild, anExecution, aSandbox, aTemplate } from '../fixtures.ts'
import type { Store } from '../store.ts'
import { type Declare, numbers } from './declare.ts'

const page = { sort: 'created', direction: 'asc', limit: 100, offset: 0 } as const

const made: NonNullable<BuildRecord['made']> = {
  runtime: 'base:latest',
  imageDigest: 'ab',
  layers: ['sav_b'],
  save: 'sav_a',
  memory: true,
  env: { A: 'ü "x"' },
  user: 'agent',
  workdir: '/srv',
  dependencies: ['jq'],
  packages: [],
}

export function templatePromises(promise: Declare): void {
  const template = async ({ templates }: Store, fields = {}) => templates.findOrInsert(aTemplate(fields))
  const put = async ({ builds }: Store, fields: Parameters<typeof aBuild>[0]) => {
    const record = aBuild(fields)
    await builds.insert(record)
    return record
  }
  const tagOf = (build: BuildRecord, tag: string, createdAt = 1): TemplateTagRecord => ({
    templateId: build.templateId,
    tag,
    buildId: build.id,
    createdAt,
  })

  promise('gives back templates, one of each name', async (store) => {
    const first = await template(store, { name: 'web', resources: { memory: '1Gi', cpu: '2' } })
    expect(await template(store, { name: 'web' })).toEqual(first)
    const second = await template(store, { name: 'api', createdAt: 9 })
    const { templates } = store
    expect([await templates.find('web'), await templates.find(first.id)]).toEqual([first, first])
    expect(await templates.find('none')).toBeNull()
    const names = async (sort: 'name' | 'created', direction: 'asc' | 'desc') =>
      (await templates.list({ ...page, sort, direction })).items.map(({ name }) => name)
    expect(await names('name', 'asc')).toEqual(['api', 'web'])
    expect(await names('created', 'asc')).toEqual(['web', 'api'])
    expect(await names('created', 'desc')).toEqual(['api', 'web'])
    expect(await templates.list({ ...page, limit: 1, offset: 1 })).toEqual({ items: [second], total: 2 })
    const changed = { resources: { disk: '5Gi' }, updatedAt: 7 }
    expect(await templates.update(first.id, changed)).toEqual({ ...first, ...changed })
    expect(await templates.find('web')).toEqual({ ...first, ...changed })
    const lost = expect(templates.update('tpl_none', { updatedAt: 1 })).rejects
    await lost.toMatchObject({ code: 'template_not_found' })
  })

  promise('gives back builds, and changes those that are as they were thought to be', async (store) => {
    const { id: templateId } = await template(store)
    const build = await put(store, { templateId })
    const { builds } = store
    expect(await builds.get(build.id)).toEqual(build)
    expect(await builds.get('bld_none')).toBeNull()
    await expect(builds.insert(aBuild({ id: build.id, templateId }))).rejects.toMatchObject({
      code: 'conflict',
    })
    const started = {
      status: 'building',
      from: { runtime: 'base' },
      steps: [{ type: 'run', command: 'x', user: 'root' }],
      start: { command: 'serve', ready: null, ports: [80] },
      startedAt: 5,
    } as const satisfies Partial<BuildRecord>
    const change = structuredClone(started) as Partial<BuildRecord>
    expect(await builds.update(build.id, change, { ifStatus: 'waiting' })).toEqual({ ...build, ...started })
    const late = expect(builds.update(build.id, { status: 'failed' }, { ifStatus: 'waiting' })).rejects
    await late.toMatchObject({ code: 'build_state' })
    const reason = { message: 'no', step: 1 }
    expect(await builds.update(build.id, { status: 'failed', reason, endedAt: 9 })).toMatchObject({ reason })
    expect(await builds.get(build.id)).toEqual({ ...build, ...started, status: 'failed', reason, endedAt: 9 })
    await expect(builds.update('bld_none', {})).rejects.toMatchObject({ code: 'build_not_found' })
  })

  promise('tells builds that have not ended, and those that are ready', async (store) => {
    const { id: templateId } = await template(store)
    const statuses = ['waiting', 'building', 'ready', 'failed'] as const
    const all = await Promise.all(statuses.map((status) => put(store, { templateId, status })))
    const ids = (records: BuildRecord[]) => records.map(({ id }) => id).sort()
    expect(ids(await store.builds.open())).toEqual(ids(all.slice(0, 2)))
    expect(ids(await store.builds.ready())).toEqual(ids(all.slice(2, 3)))
  })

  promise('names the saves of builds, until their template goes', async (store) => {
    const { id: templateId } = await template(store)
    await put(store, { templateId, status: 'ready', made })
    await put(store, { templateId, status: 'building' })
    expect([...(await store.namedSaves())].sort()).toEqual(['sav_a', 'sav_b'])
    await store.templates.remove(templateId)
    expect(await store.namedSaves()).toEqual(new Set())
  })

  promise('a tag means one build of a template', async (store) => {
    const { templates, builds } = store
    const [web, api] = [await template(store), await template(store)]
    const one = await put(store, { templateId: web.id, status: 'building' })
    const two = await put(store, { templateId: web.id, status: 'ready' })
    const other = await put(store, { templateId: api.id, status: 'ready' })
    await templates.tag([tagOf(other, 'latest', 9), tagOf(two, 'latest', 1), tagOf(two, 'v2', 2)])
    expect(await templates.tags(web.id)).toEqual([tagOf(two, 'v2', 2), tagOf(two, 'latest', 1)])
    await builds.update(
      one.id,
      { status: 'ready', made },
      { ifStatus: 'building', tags: [tagOf(one, 'latest', 3)] },
    )
    expect(await templates.tags(web.id)).toEqual([tagOf(one, 'latest', 3), tagOf(two, 'v2', 2)])
    const late = builds.update(one.id, {}, { ifStatus: 'building', tags: [tagOf(one, 'v2', 4)] })
    await expect(late).rejects.toMatchObject({ code: 'build_state' })
    expect(await templates.tags(api.id)).toEqual([tagOf(other, 'latest', 9)])
    await templates.untag(web.id, ['latest', 'none'])
    expect(await templates.tags(web.id)).toEqual([tagOf(two, 'v2', 2)])
    const unknown = { ...tagOf(two, 'x'), templateId: 'tpl_none' }
    await expect(templates.tag([tagOf(two, 'x'), unknown])).rejects.toMatchObject({
      code: 'template_not_found',
    })
    expect(await templates.tags(web.id)).toEqual([tagOf(two, 'v2', 2)])
  })

  promise('a tag is on one build of a template, whatever happens', async (store) => {
    const { id: templateId } = await template(store)
    const all = await Promise.all([1, 2, 3].map(() => put(store, { templateId, status: 'ready' })))
    const random = numbers(3)
    const model = new Map<string, string>()
    for (let step = 0; step < 100; step++) {
      const tag = `t${random(4)}`
      const build = all[random(all.length)]!
      if (random(4) === 0) {
        await store.templates.untag(templateId, [tag])
        model.delete(tag)
      } else {
        await store.templates.tag([tagOf(build, tag, step)])
        model.set(tag, build.id)
      }
      const found = (await store.templates.tags(templateId)).map(
        ({ tag, buildId }) => [tag, buildId] as const,
      )
      expect(new Map(found), `step ${step}`).toEqual(model)
      expect(found.length).toBe(model.size)
    }
  })

  promise('forgets a template with all that is its own', async (store) => {
    const { templates, builds } = store
    const [gone, kept] = [await template(store), await template(store)]
    const [of, other] = [await put(store, { templateId: gone.id }), await put(store, { templateId: kept.id })]
    await templates.tag([tagOf(of, 'latest'), tagOf(other, 'latest')])
    await builds.log([entry(of, 0), entry(other, 0)])
    await templates.remove(gone.id)
    expect([await templates.find(gone.id), await builds.get(of.id)]).toEqual([null, null])
    expect([await templates.tags(gone.id), await builds.readLog(of.id, 0, 9)]).toEqual([[], []])
    expect(await builds.get(other.id)).toEqual(other)
    expect(await templates.tags(kept.id)).toEqual([tagOf(other, 'latest')])
    await templates.remove(gone.id)
    // Somebody may still be telling.
    await builds.log([entry(of, 1)])
  })

  const entry = ({ id }: BuildRecord, number: number): BuildLogRecord => ({
    buildId: id,
    entry: number,
    at: 5,
    level: 'warn',
    step: number % 2 === 0 ? null : number,
    message: `ünïcode ${number}`,
  })

  promise('reads logs of builds in pages', async (store) => {
    const { id: templateId } = await template(store)
    const build = await put(store, { templateId })
    const entries = Array.from({ length: 10 }, (_, number) => entry(build, number))
    await store.builds.log(entries.slice(0, 4))
    await store.builds.log(entries.slice(4))
    expect(await store.builds.readLog(build.id, 0, 100)).toEqual(entries)
    expect(await store.builds.readLog(build.id, 3, 2)).toEqual(entries.slice(3, 5))
    expect(await store.builds.readLog(build.id, 10, 2)).toEqual([])
  })

  promise('forgets builds that are over and that no tag means', async (store) => {
    const { templates, builds } = store
    const { id: templateId } = await template(store)
    const from = { runtime: 'base' }
    const cases: [Parameters<typeof aBuild>[0], stays: boolean][] = [
      [{ templateId, status: 'failed', endedAt: 99 }, false],
      [{ templateId, status: 'failed', endedAt: 100 }, true],
      [{ templateId, status: 'ready', endedAt: 99 }, false],
      [{ templateId, status: 'waiting', createdAt: 99 }, false],
      [{ templateId, status: 'waiting', createdAt: 100 }, true],
      [{ templateId, status: 'waiting', from, createdAt: 99 }, true],
      [{ templateId, status: 'building', from, createdAt: 1 }, true],
    ]
    const all = await Promise.all(
      cases.map(async ([fields, stays]) => ({ record: await put(store, fields), stays })),
    )
    const tagged = await put(store, { templateId, status: 'ready', endedAt: 1 })
    await templates.tag([tagOf(tagged, 'latest')])
    await builds.log([entry(all[0]!.record, 0)])
    await builds.purge(100)
    for (const { record, stays } of [...all, { record: tagged, stays: true }])
      expect((await builds.get(record.id)) !== null, JSON.stringify(record)).toBe(stays)
    expect(await builds.readLog(all[0]!.record.id, 0, 9)).toEqual([])
  })

  promise('what a sandbox runs by itself is not counted', async ({ sandboxes, executions }) => {
    const box = aSandbox({ executionCount: 0, lastActiveAt: 5 })
    await sandboxes.insert(box)
    await executions.insert(anExecution(box.id, { id: 'prg_1', createdAt: 50 }))
    expect(await sandboxes.get(box.id)).toMatchObject({ executionCount: 0, lastActiveAt: 5 })
    await executions.insert(anExecution(box.id, { createdAt: 60 }))
    expect(await sandboxes.get(box.id)).toMatchObject({ executionCount: 1, lastActiveAt: 60 })
    const lost = executions.insert(anExecution('sbx_none', { id: 'prg_2' }))
    await expect(lost).rejects.toMatchObject({ code: 'sandbox_not_found' })
  })
}
