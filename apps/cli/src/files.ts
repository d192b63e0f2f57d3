/** File access: only regular files are read, and writes are atomic. */
import { otherThanFile } from "@spikeroute/datasets"
import { ByteSize, Effect, FileSystem, type PlatformError } from "effect"
import { UsageError } from "./errors.ts"

/** For `Effect.mapError`: a one-line error with the file and the system's message. */
export const refused =
  (file: string, what: "read" | "written") =>
  (error: PlatformError.PlatformError): UsageError => {
    const { _tag, cause } = error.reason
    const said = cause instanceof Error ? cause.message.replace(/, \w+( '.*')?$/s, "") : _tag
    return new UsageError({ reason: `${file} cannot be ${what}: ${said}` })
  }

/** The size of a regular file in bytes. Fails for anything else, such as a directory or a pipe. */
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

/** Reads a file. */
export const readBytes = (file: string): Effect.Effect<Uint8Array, UsageError, FileSystem.FileSystem> =>
  Effect.andThen(
    sizeOf(file),
    Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.mapError(fs.readFile(file), refused(file, "read"))),
  )

/** Reads a text file. */
export const readText = (file: string): Effect.Effect<string, UsageError, FileSystem.FileSystem> =>
  Effect.map(readBytes(file), (bytes) => new TextDecoder().decode(bytes))

/** Maximum size of a JSON file in bytes; settings and graphs take kilobytes. */
const largestJson = 2 ** 26

/** Reads and parses a JSON file. */
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

/** Whether a path exists, even as a broken symbolic link. */
export const isTaken = (file: string): Effect.Effect<boolean, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.isSuccess(fs.lstat(file)))

/** Writes a file under a temporary name, syncs it to disk and renames it. A symbolic link is replaced, not followed. */
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

/** Indented JSON with a trailing newline. */
export const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`
