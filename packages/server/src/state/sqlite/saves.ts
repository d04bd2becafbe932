import { sql } from 'kysely'
import type { Connection } from './connection.ts'
import { LIVE } from './schema.ts'

const live = sql.raw(LIVE)

/** One statement, so that a save that moves from one record to another meanwhile is not missed. */
const NAMED = sql<{ save: string }>`
  select save from layers
  union select save from snapshots
  union select value from snapshots, json_each(snapshots.layers)
  union select made ->> '$.save' from builds where made is not null
  union select value from builds, json_each(builds.made, '$.layers') where made is not null
  union select save from checkpoints where sandboxId in (select id from sandboxes where ${live})
  union select value from checkpoints, json_each(checkpoints.layers)
    where sandboxId in (select id from sandboxes where ${live})
  union select base from sandboxes where base is not null and ${live}
  union select value from sandboxes, json_each(sandboxes.layers) where ${live}
  union select restoring ->> '$.save' from sandboxes where restoring is not null and ${live}
  union select value from sandboxes, json_each(sandboxes.restoring, '$.layers')
    where restoring is not null and ${live}`

export async function namedSaves({ db }: Connection): Promise<Set<string>> {
  const { rows } = await NAMED.execute(db)
  return new Set(rows.map(({ save }) => save))
}
