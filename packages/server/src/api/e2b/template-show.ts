import type { Build, Template } from '@caisson/protocol/resources'
import { parseBytes, parseCpu } from '../../core/quantity.ts'
import { tagOf } from './names.ts'
import { ENVD_VERSION } from './show.ts'

const MIB = 2 ** 20

const STATUS = { waiting: 'waiting', building: 'building', ready: 'ready', failed: 'error' } as const

export function showStatus({ status }: Build): (typeof STATUS)[Build['status']] {
  return STATUS[status]
}

/** As it is listed. Uses are counted as sandboxes that live now, builds as those that have a tag. */
export function showTemplate(template: Template): object {
  const builds = buildsOf(template)
  return {
    ...common(template),
    ...showResources(template),
    buildID: tagOf(template, null)?.buildId ?? builds[0] ?? '',
    buildStatus: builds.length > 0 ? 'ready' : 'waiting',
    buildCount: builds.length,
    createdBy: null,
    envdVersion: ENVD_VERSION,
  }
}

/** @param builds those that have a tag */
export function showWithBuilds(template: Template, builds: Build[]): object {
  return {
    ...common(template),
    builds: builds.map((build) => ({
      buildID: build.id,
      status: showStatus(build),
      createdAt: build.createdAt,
      updatedAt: build.endedAt ?? build.startedAt ?? build.createdAt,
      ...(build.endedAt !== null && { finishedAt: build.endedAt }),
      ...showResources(template),
      envdVersion: ENVD_VERSION,
    })),
  }
}

/** The newest first. */
export function buildsOf({ tags }: Template): string[] {
  const newest = [...tags].sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1))
  return [...new Set(newest.map(({ buildId }) => buildId))]
}

function common({ id, name, sandboxes, createdAt, updatedAt }: Template) {
  return {
    templateID: id,
    names: [name],
    aliases: [name],
    public: false,
    spawnCount: sandboxes,
    lastSpawnedAt: null,
    createdAt,
    updatedAt,
  }
}

/** 0: what the server gives to all. */
function showResources({ resources: { cpu, memory, disk } }: Template) {
  return {
    cpuCount: cpu === undefined ? 0 : Math.max(1, Math.ceil(parseCpu(cpu, 'cpu') / 1000)),
    memoryMB: memory === undefined ? 0 : Math.floor(parseBytes(memory, 'memory') / MIB),
    diskSizeMB: disk === undefined ? 0 : Math.floor(parseBytes(disk, 'disk') / MIB),
  }
}
