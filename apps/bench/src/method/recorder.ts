/** Collects rows, and appends them to the run's file at once. */
import { appendFileSync, mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { Context, Effect, Layer } from "effect"
import type { Row } from "./row.ts"

export class Recorder extends Context.Service<
  Recorder,
  {
    readonly record: (row: Row) => Effect.Effect<void>
    /** All rows so far. */
    readonly rows: () => ReadonlyArray<Row>
  }
>()("@spikeroute/bench/Recorder") {}

/** Appends each row to a file as one line, written synchronously. Without a file, rows are only kept in memory. */
export const layer = (file: string | undefined): Layer.Layer<Recorder> =>
  Layer.sync(Recorder, () => {
    if (file !== undefined) mkdirSync(dirname(file), { recursive: true })
    const rows: Array<Row> = []
    return Recorder.of({
      rows: () => rows,
      record: (row) =>
        Effect.sync(() => {
          rows.push(row)
          if (file !== undefined) appendFileSync(file, `${JSON.stringify(row)}\n`)
        }),
    })
  })

export const record = (row: Row): Effect.Effect<void, never, Recorder> =>
  Effect.flatMap(Recorder, (recorder) => recorder.record(row))
