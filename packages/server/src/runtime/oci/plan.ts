import type { SandboxPlan } from '../../core/plan.ts'
import type { LaunchPlan } from '../../launcher/client.ts'

/**
 * What the launcher is asked for. It derives a sandbox's own directories from the id, so a root that lies
 * elsewhere cannot be started: that would be a storage the launcher does not know.
 */
export function toLaunchPlan({ id, hostname, idBase, root, limits, volumes, dump }: SandboxPlan): LaunchPlan {
  const common = {
    ...{ id, hostname, idBase, limits },
    ...(volumes !== undefined && { volumes }),
    ...(dump !== undefined && { dump }),
  }
  if (root.kind === 'pool') return { ...common, root }
  if (root.kind === 'directory') {
    expect(root.path, `sandboxes/${id}/rootfs`)
    return { ...common, root: { kind: 'directory' } }
  }
  expect(root.upper, `sandboxes/${id}/upper`)
  expect(root.work, `sandboxes/${id}/work`)
  return { ...common, root: { kind: 'overlay', lowers: root.lowers } }
}

function expect(path: string, derived: string): void {
  if (path !== derived) throw new TypeError(`The root of a sandbox must be ${derived}, not ${path}`)
}
