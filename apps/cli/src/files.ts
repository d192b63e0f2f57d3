/** Files that are whole or not there. */
import { Effect, FileSystem, type PlatformError } from "effect"
import { UsageError } from "./errors.ts"

/** For `Effect.mapError`: one line that names the file and what the system said of it. */
export const refused =
  (file: string, what: "read" | "written") =>
  (error: PlatformError.PlatformError): UsageError => {
    const { _tag, cause } = error.reason
    const said = cause instanceof Error ? cause.message.replace(/, \w+ '.*'$/, "") : _tag
    return new UsageError({ reason: `${file} cannot be ${what}: ${said}` })
  }

/** Writes a file under a temporary name, syncs it to the disk and renames it. */
export const writeWhole = (
  file: string,
  content: Uint8Array | string,
): Effect.Effect<void, UsageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const temporary = `${file}.part`
    const write = Effect.gen(function* () {
      const handle = yield* fs.open(temporary, { flag: "w" })
      yield* handle.writeAll(typeof content === "string" ? new TextEncoder().encode(content) : content)
      yield* handle.sync
    })
    yield* Effect.scoped(write).pipe(
      Effect.andThen(fs.rename(temporary, file)),
      Effect.onError(() => Effect.ignore(fs.remove(temporary, { force: true }))),
      Effect.mapError(refused(file, "written")),
    )
  })

/** JSON for people: indented, with a last line break. */
export const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`
