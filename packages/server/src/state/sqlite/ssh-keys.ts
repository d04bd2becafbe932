import type { SshKeyRecord } from '../../core/records.ts'
import type { Durability, SshKeyStore } from '../store.ts'
import type { Connection } from './connection.ts'
import { refusing } from './errors.ts'
import { sshKeyCodec } from './schema.ts'

const { encode, decode } = sshKeyCodec

export class SqliteSshKeys implements SshKeyStore {
  readonly #connection: Connection
  readonly #sync: (durability: Durability) => Promise<void>

  constructor(connection: Connection, sync: (durability: Durability) => Promise<void>) {
    this.#connection = connection
    this.#sync = sync
  }

  async insert(record: SshKeyRecord): Promise<void> {
    refusing(() => this.#connection.insert('ssh_keys', encode(record)))
    await this.#sync('power')
  }

  async findByFingerprint(fingerprint: string): Promise<SshKeyRecord | null> {
    const all = this.#connection.db.selectFrom('ssh_keys').selectAll()
    const row = await all.where('fingerprint', '=', fingerprint).executeTakeFirst()
    return row === undefined ? null : decode(row)
  }

  async list(): Promise<SshKeyRecord[]> {
    const rows = await this.#connection.db.selectFrom('ssh_keys').selectAll().orderBy('seq').execute()
    return rows.map(decode)
  }

  /** A revoked key must not come back with the power. */
  async remove(idOrFingerprint: string): Promise<boolean> {
    const { numDeletedRows } = await this.#connection.db
      .deleteFrom('ssh_keys')
      .where(({ eb, or }) => or([eb('id', '=', idOrFingerprint), eb('fingerprint', '=', idOrFingerprint)]))
      .executeTakeFirstOrThrow()
    await this.#sync('power')
    return numDeletedRows > 0n
  }
}
