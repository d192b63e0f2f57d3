/** Takes files out of a gzipped tar archive. */
import { Effect, FileSystem, Path, Stream } from "effect"
import * as Tar from "effect/encoding/Tar"
import { FileFailed, MalformedFile } from "../errors.ts"
import { gunzip } from "../formats/bytes.ts"
import { readBytes } from "./locate.ts"

/**
 * Makes `directory` of the plain files of `archive` whose base name matches, under that base name: folders and
 * whatever a path may hold beside (`..`, a link) do not count. The directory appears only when it is whole, in place
 * of one that there may be.
 */
export const untar: (
  archive: string,
  pattern: RegExp,
  directory: string,
) => Effect.Effect<void, MalformedFile | FileFailed, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(function* (
  archive: string,
  pattern: RegExp,
  directory: string,
) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const part = `${directory}.part`
  const remove = (each: string) => fs.remove(each, { recursive: true, force: true })
  const bytes = yield* Effect.flatMap(readBytes(archive), (packed) => gunzip(archive, packed))
  const unpack = Stream.make(bytes).pipe(
    Stream.pipeThroughChannel(Tar.decode()),
    Stream.runForEach((entry) => {
      const name = entry.header.path.split("/").at(-1) ?? ""
      if (entry.header.type !== "File" || !pattern.test(name)) return Effect.void
      return Stream.run(entry.body, fs.sink(path.join(part, name)))
    }),
  )
  yield* remove(part).pipe(
    Effect.andThen(fs.makeDirectory(part)),
    Effect.andThen(unpack),
    Effect.andThen(remove(directory)),
    Effect.andThen(fs.rename(part, directory)),
    Effect.mapError((error) =>
      error._tag === "TarError"
        ? new MalformedFile({ file: archive, problem: `not a whole tar archive: ${error.message}` })
        : FileFailed.at(directory)(error),
    ),
  )
})
