import { type RawBuilder, sql } from 'kysely'

/** Whether a row's metadata has every one of these pairs. However many they are, the statement stays the same. */
export function hasPairs(
  table: 'sandboxes' | 'sessions',
  pairs: Record<string, string>,
): RawBuilder<boolean> {
  return sql<boolean>`not exists (
    select 1 from json_each(${JSON.stringify(pairs)}) as wanted
    where not exists (
      select 1 from json_each(${sql.ref(`${table}.metadata`)}) as present
      where present.key = wanted.key and present.value = wanted.value
    )
  )`
}
