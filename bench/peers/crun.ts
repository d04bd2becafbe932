import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Timer } from '../timer.ts'
import type { Captured } from './configuration.ts'
import type { PeerGroups } from './groups.ts'
import type { Peer } from './peer.ts'

/**
 * Bare crun with the configuration of a sandbox: `run` with its cgroups made within the time, `exec` in a container
 * that runs already. The overlay of its root is mounted beforehand, which `Sandbox.create` has to do within its time.
 */
export class CrunPeers implements AsyncDisposable {
  readonly run: Peer
  readonly exec: Peer
  readonly #groups: PeerGroups

  private constructor(crun: string[], bundle: string, timer: Timer, groups: PeerGroups) {
    this.#groups = groups
    let count = 0
    this.run = {
      name: 'crun run',
      run: async () => {
        const name = `run${++count}`
        const ms = await timer.run({
          ...groups.create(name),
          argv: [...crun, 'run', '--bundle', bundle, name],
        })
        groups.remove(name)
        return ms
      },
    }
    this.exec = {
      name: 'crun exec',
      run: () => timer.run({ ...groups.enter('resident'), argv: [...crun, 'exec', 'resident', 'true'] }),
    }
  }

  static async open(
    dir: string,
    { configuration }: Captured,
    root: string,
    timer: Timer,
    groups: PeerGroups,
  ): Promise<CrunPeers> {
    const crun = ['crun', '--cgroup-manager=disabled', '--root', join(dir, 'state')]
    const bundleOf = async (name: string, args: string[]) => {
      const bundle = join(dir, name)
      await mkdir(bundle)
      const own = {
        ...configuration,
        process: { ...configuration.process, args },
        root: { path: root },
        mounts: configuration.mounts.filter(({ destination }) => destination !== '/.caisson/agent'),
      }
      await writeFile(join(bundle, 'config.json'), JSON.stringify(own))
      return bundle
    }
    const resident = await bundleOf('resident', ['sleep', 'infinity'])
    const peers = new CrunPeers(crun, await bundleOf('run', ['true']), timer, groups)
    await timer.run({
      ...groups.create('resident'),
      argv: [...crun, 'run', '--detach', '--bundle', resident, 'resident'],
    })
    return peers
  }

  /** By killing its group: `crun delete` refuses hybrid cgroups even where it has none to manage. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#groups.kill('resident')
    this.#groups.remove('resident')
  }
}
