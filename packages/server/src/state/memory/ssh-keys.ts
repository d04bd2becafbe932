import { SandboxError } from '@caisson/protocol/errors'
import type { SshKeyRecord } from '../../core/records.ts'
import type { SshKeyStore } from '../store.ts'

export class MemorySshKeys implements SshKeyStore {
  readonly #records = new Map<string, SshKeyRecord>()

  async insert(record: SshKeyRecord): Promise<void> {
    if (this.#records.has(record.id)) throw new SandboxError('conflict', { what: 'ssh_keys.id' })
    if (this.#find(record.fingerprint) !== undefined) {
      throw new SandboxError('conflict', { what: 'ssh_keys.fingerprint' })
    }
    this.#records.set(record.id, structuredClone(record))
  }

  async findByFingerprint(fingerprint: string): Promise<SshKeyRecord | null> {
    return structuredClone(this.#find(fingerprint) ?? null)
  }

  async list(): Promise<SshKeyRecord[]> {
    return structuredClone([...this.#records.values()])
  }

  async remove(idOrFingerprint: string): Promise<boolean> {
    const found = this.#records.get(idOrFingerprint) ?? this.#find(idOrFingerprint)
    return found !== undefined && this.#records.delete(found.id)
  }

  #find(fingerprint: string): SshKeyRecord | undefined {
    return [...this.#records.values()].find((record) => record.fingerprint === fingerprint)
  }
}
