/** A record as SQLite keeps it: maps and lists are JSON text, booleans are 0 and 1, the rest is as it is. */
export type Row<R, Json extends keyof R, Bool extends keyof R> = {
  [K in keyof R]: K extends Json ? string | Extract<R[K], null> : K extends Bool ? number : R[K]
}

export interface Codec<R, Json extends keyof R, Bool extends keyof R> {
  encode(record: R): Row<R, Json, Bool>
  encodeSome(record: Partial<R>): Partial<Row<R, Json, Bool>>
  decode(row: Row<R, Json, Bool>): R
}

/** Called twice, `codec<R>()(json, bool)`, because TypeScript infers either all type parameters or none. */
export const codec =
  <R extends object>() =>
  <const Json extends keyof R & string, const Bool extends keyof R & string>(
    json: readonly Json[],
    bool: readonly Bool[],
  ): Codec<R, Json, Bool> => {
    const convert = (
      from: object,
      ofJson: (value: unknown) => unknown,
      ofBool: (value: unknown) => unknown,
    ): Record<string, unknown> => {
      const to: Record<string, unknown> = { ...from }
      for (const key of json) if (to[key] !== undefined && to[key] !== null) to[key] = ofJson(to[key])
      for (const key of bool) if (to[key] !== undefined) to[key] = ofBool(to[key])
      return to
    }
    const encode = (record: object) => convert(record, JSON.stringify, Number)
    return {
      encode: (record) => encode(record) as Row<R, Json, Bool>,
      encodeSome: (record) => encode(record) as Partial<Row<R, Json, Bool>>,
      decode: (row) => {
        const record = convert(row, (text) => JSON.parse(text as string), Boolean)
        delete record.seq
        return record as R
      },
    }
  }
