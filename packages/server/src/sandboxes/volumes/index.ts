import type { Context } from '../context.ts'
import type { UseCases } from '../use-cases.ts'
import { contentUseCases } from './contents.ts'
import { createVolume, deleteVolume, getVolume, listVolumes } from './volumes.ts'

export type VolumeUseCases = ReturnType<typeof contentUseCases> &
  Pick<UseCases, 'createVolume' | 'listVolumes' | 'getVolume' | 'deleteVolume'>

/** Volumes, and what is in them. */
export function volumeUseCases(context: Context): VolumeUseCases {
  return {
    createVolume: (input) => createVolume(context, input),
    listVolumes: (query) => listVolumes(context, query),
    getVolume: (volume) => getVolume(context, volume),
    deleteVolume: (volume) => deleteVolume(context, volume),
    ...contentUseCases(context),
  }
}
