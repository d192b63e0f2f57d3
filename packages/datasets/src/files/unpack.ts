/** Extracts files from archives: gzipped tar and zip. */
import { Effect, FileSystem, Path, Stream } from "effect"
import * as Tar from "effect/encoding/Tar"
import * as Zip from "effect/encoding/Zip"
import { FileFailed, MalformedFile } from "../errors.ts"
import { sizeOf } from "./read.ts"

type ArchiveError = Tar.TarError | Zip.ZipError

/** An entry of a tar or zip archive. */
interface Entry {
  readonly header: { readonly path: string; readonly type: string; readonly size?: number | undefined }
  readonly body: Stream.Stream<Uint8Array, ArchiveError | FileFailed | MalformedFile>
}

/** Maps a path within an archive to the target path below the directory, without `..`; undefined skips the file. */
export type Place = (path: string) => string | undefined

/** Extracts files whose base name matches, under that base name. The rest of the path, such as `..`, is ignored. */
export const named =
  (pattern: RegExp): Place =>
  (path) => {
    const name = path.split("/").at(-1) ?? ""
    return pattern.test(name) ? name : undefined
  }

/** Limits on the total contents of an archive. */
export interface Bounds {
  readonly bytes: number
  readonly files: number
}

/** Passes chunks through; fails with `beyond` after more than `most` bytes. */
const bounded =
  <E>(most: number, beyond: () => MalformedFile) =>
  (pieces: Stream.Stream<Uint8Array, E>): Stream.Stream<Uint8Array, E | MalformedFile> =>
    Stream.suspend(() => {
      let length = 0
      return Stream.mapEffect(pieces, (piece) => {
        length += piece.length
        return length > most ? Effect.fail(beyond()) : Effect.succeed(piece)
      })
    })

/**
 * Extracts the plain files that have a place into `directory`; folders and links are skipped. The directory appears only when
 * complete, and replaces an existing one. Only one process at a time may do this.
 */
const extract = Effect.fnUntraced(function* (
  archive: string,
  entries: Stream.Stream<Entry, ArchiveError | FileFailed | MalformedFile>,
  place: Place,
  directory: string,
  most: Bounds,
) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const part = `${directory}.part`
  const remove = (each: string) => fs.remove(each, { recursive: true, force: true })
  const made = new Set([part])
  let files = 0
  let bytes = 0
  const tooMuch = () =>
    new MalformedFile({
      file: archive,
      problem: `it holds more than the ${most.files} files and ${most.bytes} bytes that the data set has at most`,
    })
  const unpack = entries.pipe(
    Stream.runForEach(
      Effect.fnUntraced(function* (entry) {
        const own = entry.header.type === "File" ? place(entry.header.path) : undefined
        if (own === undefined) return
        files++
        // In a ZIP archive written as a stream, sizes follow the data.
        const { size = most.bytes - bytes } = entry.header
        if (files > most.files || bytes + size > most.bytes) return yield* tooMuch()
        const target = path.join(part, own)
        const folder = path.dirname(target)
        if (!made.has(folder)) yield* fs.makeDirectory(folder, { recursive: true })
        made.add(folder)
        const counted = Stream.map(entry.body, (piece) => {
          bytes += piece.length
          return piece
        })
        yield* Stream.run(counted.pipe(bounded(size, tooMuch)), fs.sink(target))
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

/** Streams the bytes of an archive, which must be a plain file. */
const bytesOf = (archive: string) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      yield* sizeOf(archive)
      return Stream.mapError(fs.stream(archive), FileFailed.at(archive))
    }),
  )

/** Extracts the files of a gzipped tar archive that have a place into `directory`. The archive may be larger than memory. */
export const untar = Effect.fnUntraced(function* (archive: string, place: Place, directory: string, most: Bounds) {
  const packed = yield* Stream.toReadableStreamEffect(
    bytesOf(archive) as Stream.Stream<Uint8Array<ArrayBuffer>, FileFailed | MalformedFile, FileSystem.FileSystem>,
  )
  const unpacked = Stream.fromReadableStream<Uint8Array, MalformedFile>({
    evaluate: () => packed.pipeThrough(new DecompressionStream("gzip")),
    onError: () => new MalformedFile({ file: archive, problem: "the gzip data is truncated or corrupt" }),
  })
  const entries = unpacked.pipe(Stream.pipeThroughChannel(Tar.decode<MalformedFile>()))
  yield* extract(archive, entries, place, directory, most)
})

/** Extracts the files of a zip archive that have a place into `directory`. The archive may be larger than memory. */
export const unzip = Effect.fnUntraced(function* (archive: string, place: Place, directory: string, most: Bounds) {
  const fs = yield* FileSystem.FileSystem
  const bytes = bytesOf(archive).pipe(Stream.provideService(FileSystem.FileSystem, fs))
  const entries = bytes.pipe(Stream.pipeThroughChannel(Zip.decode<FileFailed>()))
  yield* extract(archive, entries, place, directory, most)
})
