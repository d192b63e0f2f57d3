/**
 * Where the files of a data set are.
 *
 * With a data directory: there, in a folder named as the data set or else in the directory itself; nothing is ever
 * downloaded. Without: in the cache, $XDG_CACHE_HOME/spikeroute/<data set> or ~/.cache/spikeroute/<data set>, and
 * what is missing is downloaded into it.
 */
import { Config, Effect, FileSystem, Option, Path } from "effect"
import type * as HttpClient from "effect/http/HttpClient"
import { type DatasetError, FileFailed, MalformedFile, MissingFile } from "../errors.ts"
import { type Checksum, download, type Progress } from "./download.ts"

/** Where to look, and whether to fetch. */
export interface LocateOptions {
  /** A directory that holds the files; nothing is downloaded then. */
  readonly dataDir?: string | undefined
  /** Called for every piece of a download that arrives. */
  readonly onProgress?: ((progress: Progress) => Effect.Effect<void>) | undefined
}

/** The services that finding and fetching need. */
export type FileServices = FileSystem.FileSystem | Path.Path | HttpClient.HttpClient

/** A file on the web and the names that it may have on disk, the one it is stored under first. */
export interface RemoteFile {
  readonly names: readonly [string, ...ReadonlyArray<string>]
  readonly url: string
  readonly checksum?: Checksum
}

/** The directories to search for `dataset`, in this order; downloads go to the first. */
export const searched = Effect.fnUntraced(function* (dataset: string, options: LocateOptions) {
  const path = yield* Path.Path
  if (options.dataDir !== undefined) return [path.join(options.dataDir, dataset), options.dataDir]
  const variable = (name: string) =>
    Config.String(name).pipe(
      Config.option,
      Effect.orElseSucceed(() => Option.none<string>()),
      Effect.map((value) => (Option.isSome(value) && value.value !== "" ? value.value : undefined)),
    )
  const home = (yield* variable("HOME")) ?? (yield* variable("USERPROFILE")) ?? "."
  const cache = (yield* variable("XDG_CACHE_HOME")) ?? path.join(home, ".cache")
  return [path.join(cache, "spikeroute", dataset)]
})

/** What to say where a file is not in the data directory. */
export const advice = (url: string): string => `put it there, or name no data directory to have ${url} downloaded`

/** The first of these names that there is in one of the directories. */
export const find = Effect.fnUntraced(function* (directories: ReadonlyArray<string>, names: ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  for (const directory of directories) {
    for (const name of names) {
      const candidate = path.join(directory, name)
      if (yield* Effect.mapError(fs.exists(candidate), FileFailed.at(candidate))) return candidate
    }
  }
  return undefined
})

/** The path of one file of `dataset`, downloaded if need be. */
export const obtain: (
  dataset: string,
  file: RemoteFile,
  options: LocateOptions,
) => Effect.Effect<string, DatasetError, FileServices> = Effect.fnUntraced(function* (
  dataset: string,
  file: RemoteFile,
  options: LocateOptions,
) {
  const path = yield* Path.Path
  const directories = yield* searched(dataset, options)
  const found = yield* find(directories, file.names)
  if (found !== undefined) return found
  if (options.dataDir !== undefined) {
    return yield* new MissingFile({ dataset, wanted: file.names, searched: directories, advice: advice(file.url) })
  }
  const target = path.join(directories[0] as string, file.names[0])
  yield* Effect.logInfo(`downloading ${file.url}`)
  yield* download(file.url, target, { checksum: file.checksum, onProgress: options.onProgress })
  return target
})

/** The files of a directory whose names match, sorted by name; none where there is no such directory. */
export const listMatching = Effect.fnUntraced(function* (directory: string, pattern: RegExp) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const names = yield* fs
    .readDirectory(directory)
    .pipe(
      Effect.catchTag("PlatformError", (error) =>
        error.reason._tag === "NotFound" ? Effect.succeed([]) : Effect.fail(FileFailed.at(directory)(error)),
      ),
    )
  return names
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => path.join(directory, name))
})

/** The bytes of a file. */
export const readBytes = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* Effect.mapError(fs.readFile(file), FileFailed.at(file))
})

/** The bytes [from, to) of a file. */
export const readPart = Effect.fnUntraced(function* (file: string, from: number, to: number) {
  const fs = yield* FileSystem.FileSystem
  const part = new Uint8Array(to - from)
  yield* Effect.scoped(
    Effect.gen(function* () {
      const handle = yield* fs.open(file)
      yield* handle.seek(BigInt(from), "start")
      for (let at = 0; at < part.length; ) {
        const read = yield* handle.read(part.subarray(at))
        // Cut off since its packets were found.
        if (read === 0) return yield* new MalformedFile({ file, offset: from + at, problem: "it ends here by now" })
        at += read
      }
    }),
  ).pipe(Effect.catchTag("PlatformError", (error) => Effect.fail(FileFailed.at(file)(error))))
  return part
})
