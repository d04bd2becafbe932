import type { OperationName } from '@caisson/protocol/operations'
import type { UseCases } from '../../sandboxes/use-cases.ts'
import { done, type Handlers } from './call.ts'
import { openPart, openRange } from './file-ranges.ts'
import { type FileStat, toFileInfo, toHeaderJson } from './map.ts'

type VolumeHandlers = Pick<Handlers, Extract<OperationName, `${string}Volume${string}`>>

/** Volumes, and what is in them. */
export function volumeHandlers(useCases: UseCases): VolumeHandlers {
  return {
    createVolume: async ({ body }) => ({ json: await useCases.createVolume(body) }),
    listVolumes: async ({ query }) => ({ json: await useCases.listVolumes(query) }),
    getVolume: async ({ params }) => ({ json: await useCases.getVolume(params.volume) }),
    deleteVolume: async ({ params }) => done(useCases.deleteVolume(params.volume)),
    listVolumeFiles: async ({ params, query, signal }) => {
      const entries = await useCases.listVolumeFiles(params.volume, query, signal)
      return { json: { files: entries.map(toInfo) } }
    },
    statVolumeFile: async ({ params, query }) => ({
      json: toInfo(await useCases.statVolumeFile(params.volume, query.path)),
    }),
    readVolumeFile: async ({ params, query: { path, offset, length }, headers, signal }) => {
      let stat: FileStat | undefined
      const open = async (part: { offset: number; length?: number }) => {
        const opened = await useCases.readVolumeFile(
          params.volume,
          { path, offset: part.offset, length: part.length },
          signal,
        )
        stat = opened.stat
        return opened
      }
      const isPart = offset > 0 || length !== undefined
      const answer = isPart
        ? await openPart(open, { offset, ...(length !== undefined && { length }) })
        : await openRange(open, headers)
      const info = stat && { 'x-caisson-file': toHeaderJson(toFileInfo(path, stat)) }
      return { ...answer, headers: { ...answer.headers, ...info } }
    },
    writeVolumeFile: async ({ params, query, upload, signal }) => ({
      json: toInfo(await useCases.writeVolumeFile(params.volume, query, upload, signal)),
    }),
    makeVolumeDirectory: async ({ params, body }) => ({
      json: toInfo(await useCases.makeVolumeDirectory(params.volume, body)),
    }),
    changeVolumeFile: async ({ params, body }) => ({
      json: toInfo(await useCases.changeVolumeFile(params.volume, body)),
    }),
    removeVolumeFile: async ({ params, query, signal }) =>
      done(useCases.removeVolumeFile(params.volume, query, signal)),
  }
}

function toInfo({ path, ...stat }: FileStat & { path: string }) {
  return toFileInfo(path, stat)
}
