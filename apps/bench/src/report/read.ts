/** Reads results.jsonl; a last line that was cut off is passed over, any other that is wrong is an error. */
import { Data, Effect, FileSystem, Result, Schema } from "effect"
import { Row } from "../method/row.ts"

export class ResultsError extends Data.TaggedError("ResultsError")<{ readonly file: string; readonly reason: string }> {
  override get message(): string {
    return `${this.file}: ${this.reason}`
  }
}

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(Row))

/** The rows in a file's text. */
export const parse = (text: string, file: string): Effect.Effect<ReadonlyArray<Row>, ResultsError> =>
  Effect.gen(function* () {
    const lines = text.split("\n")
    const rows: Array<Row> = []
    for (const [i, line] of lines.entries()) {
      if (line.trim() === "") continue
      const row = decode(line)
      if (Result.isSuccess(row)) rows.push(row.success)
      else if (i < lines.length - 1)
        return yield* new ResultsError({
          file,
          reason: `line ${i + 1} is no row of a benchmark: ${row.failure.message.split("\n")[0]}`,
        })
    }
    if (rows[0]?.kind !== "run") return yield* new ResultsError({ file, reason: "it does not begin with what was run" })
    return rows
  })

export const read = (file: string): Effect.Effect<ReadonlyArray<Row>, ResultsError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const text = yield* fs
      .readFileString(file)
      .pipe(Effect.mapError(() => new ResultsError({ file, reason: "it cannot be read" })))
    return yield* parse(text, file)
  })
