/** Files: what is read is a regular file, what is written is whole or not there. */
import { otherThanFile } from "@spikeroute/datasets"
import { ByteSize, Effect, FileSystem, type PlatformError } from "effect"
import { UsageError } from "./errors.ts"

/** For `Effect.mapError`: one line that names the file and what the system said of it. */
export const refused =
  (file: string, what: "read" | "written") =>
  (error: PlatformError.PlatformError): UsageError => {
    const { _tag, cause } = error.reason
    const said = cause instanceof Error ? cause.message.replace(/, \w+( '.*')?$/s, "") : _tag
    return new UsageError({ reason: `${file} cannot be ${what}: ${said}` })
  }

/** The size in bytes of a regular file; whatever else has its name is refused. */
export const sizeOf = (
  file: string,
  { followLinks = true }: { readonly followLinks?: boolean } = {},
): Effect.Effect<number, UsageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const info = yield* (followLinks ? fs.stat(file) : fs.lstat(file)).pipe(Effect.mapError(refused(file, "read")))
    if (info.type !== "File")
      return yield* new UsageError({ reason: `${file} is ${otherThanFile[info.type]}, not a file` })
    return Number(ByteSize.toBigInt(info.size))
  })

/** The bytes of a file. */
export const readBytes = (file: string): Effect.Effect<Uint8Array, UsageError, FileSystem.FileSystem> =>
  Effect.andThen(
    sizeOf(file),
    Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.mapError(fs.readFile(file), refused(file, "read"))),
  )

/** The text of a file. */
export const readText = (file: string): Effect.Effect<string, UsageError, FileSystem.FileSystem> =>
  Effect.map(readBytes(file), (bytes) => new TextDecoder().decode(bytes))

/** Settings and graphs take kilobytes. */
const largestJson = 2 ** 26

/** What a JSON file holds. */
export const readJson = (file: string): Effect.Effect<unknown, UsageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const size = yield* sizeOf(file)
    if (size > largestJson)
      return yield* new UsageError({ reason: `${file} has ${size} bytes; at most ${largestJson} are read as JSON` })
    const text = yield* readText(file)
    return yield* Effect.try({
      try: () => JSON.parse(text) as unknown,
      catch: () => new UsageError({ reason: `${file} is not JSON` }),
    })
  })

/** Whether something has this name, were it a link that leads nowhere. */
export const isTaken = (file: string): Effect.Effect<boolean, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.isSuccess(fs.lstat(file)))

/** Writes a file under a temporary name, syncs it to the disk and renames it, which replaces a link rather than follows it. */
export const writeWhole = (
  file: string,
  content: Uint8Array | string,
): Effect.Effect<void, UsageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const temporary = `${file}.${process.pid}.part`
    const write = Effect.gen(function* () {
      yield* fs.remove(temporary, { force: true })
      const handle = yield* fs.open(temporary, { flag: "wx" })
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
