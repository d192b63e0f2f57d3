/**
 * Locates the files of a data set.
 *
 * With a data directory, files are searched in its folder named after the data set, then in the directory itself; nothing is
 * downloaded. Without one, files are searched in the cache, $XDG_CACHE_HOME/spikeroute/<data set> or
 * ~/.cache/spikeroute/<data set>, and missing files are downloaded into it.
 */
import { Config, Effect, FileSystem, Option, Path } from "effect"
import type * as HttpClient from "effect/http/HttpClient"
import { type DatasetError, FileFailed, MissingFile } from "../errors.ts"
import { type Checksum, download, type Progress } from "./download.ts"
import { exclusively } from "./lock.ts"

/** Where to search for files, and whether to download them. */
export interface LocateOptions {
  /** Directory that holds the files. If given, nothing is downloaded. */
  readonly dataDir?: string | undefined
  /** Called for every chunk of a download that arrives. */
  readonly onProgress?: ((progress: Progress) => Effect.Effect<void>) | undefined
}

/** The services required to locate and download files. */
export type FileServices = FileSystem.FileSystem | Path.Path | HttpClient.HttpClient

/** A downloadable file and its accepted names on disk; downloads are stored under the first. */
export interface RemoteFile {
  readonly names: readonly [string, ...ReadonlyArray<string>]
  /** Paths of the file in other copies of the data set, relative to a searched directory. */
  readonly elsewhere?: ReadonlyArray<string>
  readonly url: string
  readonly checksum?: Checksum
}

/** The directories to search for `dataset`, in order; downloads go to the first. */
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

/** Advice for a file that is missing from the data directory. */
export const advice = (url: string): string => `put it there, or name no data directory to have ${url} downloaded`

/** Whether this is a folder or a link to one; false for a dangling link. */
export const isFolder = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* fs.stat(file).pipe(
    Effect.map(({ type }) => type === "Directory"),
    Effect.catchIf(
      ({ reason }) => reason._tag === "NotFound",
      () => Effect.succeed(false),
    ),
    Effect.mapError(FileFailed.at(file)),
  )
})

/** The first of these names that exists in one of the directories. Folders are returned only if no file is found. */
export const find = Effect.fnUntraced(function* (directories: ReadonlyArray<string>, names: ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  let folder: string | undefined
  for (const directory of directories) {
    for (const name of names) {
      const candidate = path.join(directory, name)
      if (!(yield* Effect.mapError(fs.exists(candidate), FileFailed.at(candidate)))) continue
      if (!(yield* isFolder(candidate))) return candidate
      folder ??= candidate
    }
  }
  return folder
})

/** File names that indicate an unsupported version of a data set, with a description of each. */
export type Foreign = ReadonlyArray<readonly [name: RegExp, what: string]>

/** Advice for missing files: names an unsupported version of the data set if one is present, otherwise returns `otherwise`. */
export const adviceOn = Effect.fnUntraced(function* (
  directories: ReadonlyArray<string>,
  foreign: Foreign,
  otherwise: string,
) {
  for (const directory of directories) {
    const files = yield* Effect.orElseSucceed(listMatching(directory, /./), () => [])
    for (const [name, what] of foreign) {
      const found = files.find((file) => name.test(file.slice(directory.length + 1)))
      if (found !== undefined) return `there is ${found}, ${what}`
    }
  }
  return otherwise
})

/** Returns the result of `look`. If it is undefined, runs `make`, in one process at a time, and looks again. */
export const lookOrMake = <A, E, R, E2, R2>(
  target: string,
  look: Effect.Effect<A | undefined, E, R>,
  make: Effect.Effect<unknown, E2, R2>,
): Effect.Effect<A | undefined, E | E2 | FileFailed, R | R2 | FileSystem.FileSystem | Path.Path> =>
  Effect.flatMap(look, (found) =>
    found !== undefined
      ? Effect.succeed(found)
      : Effect.flatMap(look, (made) => (made !== undefined ? Effect.succeed(made) : Effect.andThen(make, look))).pipe(
          exclusively(target),
        ),
  )

/** Returns the path of one file of `dataset`; downloads it if necessary. */
export const obtain: (
  dataset: string,
  file: RemoteFile,
  options: LocateOptions,
  foreign?: Foreign,
) => Effect.Effect<string, DatasetError, FileServices> = Effect.fnUntraced(function* (
  dataset: string,
  file: RemoteFile,
  options: LocateOptions,
  foreign: Foreign = [],
) {
  const path = yield* Path.Path
  const directories = yield* searched(dataset, options)
  const found = yield* find(directories, [...file.names, ...(file.elsewhere ?? [])])
  if (found !== undefined) return found
  if (options.dataDir !== undefined) {
    const advised = yield* adviceOn(directories, foreign, advice(file.url))
    return yield* new MissingFile({ dataset, wanted: file.names, searched: directories, advice: advised })
  }
  const target = path.join(directories[0] as string, file.names[0])
  yield* Effect.logInfo(`downloading ${file.url}`)
  yield* download(file.url, target, { checksum: file.checksum, onProgress: options.onProgress })
  return target
})

/** The entries of a directory whose names match, sorted by name; empty if the directory does not exist. */
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
