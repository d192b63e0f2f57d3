/** Takes files out of archives: gzipped tar and zip. */
import { Effect, FileSystem, Path, Stream } from "effect"
import * as Tar from "effect/encoding/Tar"
import * as Zip from "effect/encoding/Zip"
import { FileFailed, MalformedFile } from "../errors.ts"
import { gunzip } from "../formats/bytes.ts"
import { readBytes } from "./locate.ts"

type ArchiveError = Tar.TarError | Zip.ZipError

/** What an archive holds, be it tar or zip. */
interface Entry {
  readonly header: { readonly path: string; readonly type: string }
  readonly body: Stream.Stream<Uint8Array, ArchiveError | FileFailed>
}

/** Where a file of an archive goes below the directory that is made, by its path there: a path without `..`; nowhere if undefined. */
export type Place = (path: string) => string | undefined

/** Files whose base name matches, under that base name: whatever a path may hold beside (`..`) does not count. */
export const named =
  (pattern: RegExp): Place =>
  (path) => {
    const name = path.split("/").at(-1) ?? ""
    return pattern.test(name) ? name : undefined
  }

/**
 * Makes `directory` of the plain files among the entries that have a place there; folders and links do not count. The
 * directory appears only when it is whole, in place of one that there may be.
 */
const extract = Effect.fnUntraced(function* (
  archive: string,
  entries: Stream.Stream<Entry, ArchiveError | FileFailed>,
  place: Place,
  directory: string,
) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const part = `${directory}.part`
  const remove = (each: string) => fs.remove(each, { recursive: true, force: true })
  const made = new Set([part])
  const unpack = entries.pipe(
    Stream.runForEach(
      Effect.fnUntraced(function* (entry) {
        const own = entry.header.type === "File" ? place(entry.header.path) : undefined
        if (own === undefined) return
        const target = path.join(part, own)
        const folder = path.dirname(target)
        if (!made.has(folder)) yield* fs.makeDirectory(folder, { recursive: true })
        made.add(folder)
        yield* Stream.run(entry.body, fs.sink(target))
      }),
    ),
  )
  yield* remove(part).pipe(
    Effect.andThen(fs.makeDirectory(part, { recursive: true })),
    Effect.andThen(unpack),
    Effect.andThen(remove(directory)),
    Effect.andThen(fs.rename(part, directory)),
    Effect.mapError((error) => {
      switch (error._tag) {
        case "TarError":
        case "ZipError": {
          const kind = error._tag === "TarError" ? "tar" : "ZIP"
          return new MalformedFile({ file: archive, problem: `not a whole ${kind} archive: ${error.message}` })
        }
        case "PlatformError":
          return FileFailed.at(directory)(error)
        default:
          return error
      }
    }),
  )
})

/** Makes `directory` of the files of a gzipped tar archive that have a place there. */
export const untar = Effect.fnUntraced(function* (archive: string, place: Place, directory: string) {
  const bytes = yield* Effect.flatMap(readBytes(archive), (packed) => gunzip(archive, packed))
  const entries = Stream.make(bytes).pipe(Stream.pipeThroughChannel(Tar.decode()))
  yield* extract(archive, entries, place, directory)
})

/** Makes `directory` of the files of a zip archive that have a place there; the archive may be larger than memory. */
export const unzip = Effect.fnUntraced(function* (archive: string, place: Place, directory: string) {
  const fs = yield* FileSystem.FileSystem
  const bytes = fs.stream(archive).pipe(Stream.mapError(FileFailed.at(archive)))
  const entries = bytes.pipe(Stream.pipeThroughChannelOrFail(Zip.decode<FileFailed>()))
  yield* extract(archive, entries, place, directory)
})
