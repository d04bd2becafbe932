import { SandboxError } from '@caisson/protocol/errors'
import type { Volumes } from '../../storage/layers.ts'
import type { Context } from '../context.ts'

/** Volumes, if this server can keep and mount them. @throws SandboxError `not_supported` */
export function volumesOf({ layers, driver }: Context): Volumes {
  if (layers.volumes === undefined)
    throw new SandboxError('not_supported', {
      what: 'volumes',
      reason: `the ${layers.name} storage has none; the btrfs pool has, and "caisson doctor" says what it would need`,
    })
  if (driver.volumes !== true)
    throw new SandboxError('not_supported', {
      what: 'volumes',
      reason: `the ${driver.name} driver cannot mount them`,
    })
  return layers.volumes
}
