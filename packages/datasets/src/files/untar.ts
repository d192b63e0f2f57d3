/** Takes files out of a gzipped tar archive. */
import { Effect, FileSystem, Path, Stream } from "effect"
import * as Tar from "effect/encoding/Tar"
import { FileFailed, MalformedFile } from "../errors.ts"
import { gunzip } from "../formats/bytes.ts"
import { readBytes } from "./locate.ts"

/**
 * Writes the plain files of `archive` whose base name matches to `directory`, under that base name: folders and
 * whatever a path may hold beside (`..`, a link) do not count. Each appears under its name only when whole.
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
  const bytes = yield* Effect.flatMap(readBytes(archive), (packed) => gunzip(archive, packed))
  yield* Stream.make(bytes).pipe(
    Stream.pipeThroughChannel(Tar.decode()),
    Stream.runForEach((entry) => {
      const name = entry.header.path.split("/").at(-1) ?? ""
      if (entry.header.type !== "File" || !pattern.test(name)) return Effect.void
      const file = path.join(directory, name)
      return Stream.run(entry.body, fs.sink(`${file}.part`)).pipe(Effect.andThen(fs.rename(`${file}.part`, file)))
    }),
    Effect.mapError((error) =>
      error._tag === "TarError"
        ? new MalformedFile({ file: archive, problem: `not a whole tar archive: ${error.message}` })
        : FileFailed.at(directory)(error),
    ),
  )
})
