import type { Launcher } from '../../launcher/client.ts'
import type { MemoryHand } from '../driver.ts'

/** Freezing by cgroups, dumps by criu. What the launcher has begun it finishes, so nothing here is cut off by a signal. */
export class OciMemory implements MemoryHand {
  readonly noDumps: string | null
  readonly #launcher: Launcher

  constructor(launcher: Launcher, noDumps: string | null) {
    this.#launcher = launcher
    this.noDumps = noDumps
  }

  freeze(id: string): Promise<void> {
    return this.#launcher.freeze(id)
  }

  thaw(id: string): Promise<void> {
    return this.#launcher.thaw(id)
  }

  async dump(
    id: string,
    dump: string,
    end: boolean,
    save: string | null = null,
  ): Promise<{ bytes: number; saved: boolean }> {
    const { bytes } = await this.#launcher.dump(id, dump, end, save)
    return { bytes, saved: save !== null }
  }

  removeDump(dump: string, signal?: AbortSignal): Promise<void> {
    return this.#launcher.removeDump(dump, signal)
  }

  async listDumps(signal?: AbortSignal): Promise<string[]> {
    return [...(await this.#launcher.pool.list(signal)).dumps.keys()]
  }
}

/** What of the memory of its sandboxes a launcher can keep; undefined: none of it. */
export async function memoryOf(launcher: Launcher, signal?: AbortSignal): Promise<OciMemory | undefined> {
  const abilities = new Map((await launcher.abilities(signal)).map((one) => [one.name, one]))
  if (abilities.get('freezer')?.ok === false) return undefined
  const dumps = abilities.get('dumps')
  return new OciMemory(launcher, dumps?.ok ? null : (dumps?.detail ?? 'criu is not installed'))
}
