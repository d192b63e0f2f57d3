/** Reads results.jsonl. A truncated last line is ignored; any other invalid line is an error. */
import { Data, Effect, FileSystem, Result, Schema } from "effect"
import { Row } from "../method/row.ts"

export class ResultsError extends Data.TaggedError("ResultsError")<{ readonly file: string; readonly reason: string }> {
  override get message(): string {
    return `${this.file}: ${this.reason}`
  }
}

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(Row))

/** Parses the rows of a file. */
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
          reason: `line ${i + 1} is not a benchmark row: ${row.failure.message.split("\n")[0]}`,
        })
    }
    if (rows[0]?.kind !== "run")
      return yield* new ResultsError({ file, reason: "its first line does not describe a run" })
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
