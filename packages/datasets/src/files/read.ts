/** Reads files of data sets. Only plain files are read, up to a maximum size. */
import { ByteSize, Effect, FileSystem } from "effect"
import { FileFailed, MalformedFile } from "../errors.ts"
import { lfsPointer } from "../formats/bytes.ts"

/** Descriptions of file types, for errors. Some types, such as FIFOs, would block indefinitely when opened. */
export const otherThanFile: Readonly<Record<FileSystem.File.Type, string>> = {
  File: "a file",
  Directory: "a directory",
  SymbolicLink: "a symbolic link",
  FIFO: "a pipe",
  Socket: "a socket",
  CharacterDevice: "a device",
  BlockDevice: "a device",
  Unknown: "something else",
}

/** The size of a plain file, in bytes. Fails for any other type of file, without opening it. */
export const sizeOf = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const { type, size } = yield* Effect.mapError(fs.stat(file), FileFailed.at(file))
  if (type !== "File") return yield* new FileFailed({ file, problem: `it is ${otherThanFile[type]}, not a file` })
  return Number(ByteSize.toBigInt(size))
})

/** Reads a file of at most `most` bytes. */
export const readBytes = Effect.fnUntraced(function* (file: string, most: number) {
  const fs = yield* FileSystem.FileSystem
  const size = yield* sizeOf(file)
  if (size > most)
    return yield* new MalformedFile({ file, problem: `it has ${size} bytes; files of its kind have at most ${most}` })
  const bytes = yield* Effect.mapError(fs.readFile(file), FileFailed.at(file))
  const pointer = lfsPointer(bytes)
  return pointer === undefined ? bytes : yield* new MalformedFile({ file, offset: 0, problem: `it is ${pointer}` })
})

/** Reads a text file of at most 2²⁶ bytes. */
export const readText = (file: string): Effect.Effect<string, FileFailed | MalformedFile, FileSystem.FileSystem> =>
  Effect.map(readBytes(file, 2 ** 26), (bytes) => new TextDecoder().decode(bytes))

/** Reads the bytes [from, to) of a file. */
export const readPart = Effect.fnUntraced(function* (file: string, from: number, to: number) {
  const fs = yield* FileSystem.FileSystem
  yield* sizeOf(file)
  const part = new Uint8Array(to - from)
  yield* Effect.scoped(
    Effect.gen(function* () {
      const handle = yield* fs.open(file)
      yield* handle.seek(BigInt(from), "start")
      for (let at = 0; at < part.length; ) {
        const read = yield* handle.read(part.subarray(at))
        // The file was truncated after it had been indexed.
        if (read === 0) return yield* new MalformedFile({ file, offset: from + at, problem: "it ends here by now" })
        at += read
      }
    }),
  ).pipe(Effect.catchTag("PlatformError", (error) => Effect.fail(FileFailed.at(file)(error))))
  return part
})
