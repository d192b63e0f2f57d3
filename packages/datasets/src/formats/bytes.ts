/** Shared by the readers of binary formats: identification of foreign files, and gzip decompression. */
import { quote } from "@spikeroute/core/text"
import { Effect, Result } from "effect"
import { MalformedFile } from "../errors.ts"

const ascii = (text: string) => Array.from(text, (character) => character.charCodeAt(0))

const signatures: ReadonlyArray<readonly [kind: string, bytes: ReadonlyArray<number>]> = [
  ["a PNG image", [0x89, 0x50, 0x4e, 0x47]],
  ["a JPEG image", [0xff, 0xd8, 0xff]],
  ["a GIF image", ascii("GIF8")],
  ["a WebP image, or another RIFF file", ascii("RIFF")],
  ["a TIFF image", [0x49, 0x49, 0x2a, 0x00]],
  ["a TIFF image", [0x4d, 0x4d, 0x00, 0x2a]],
  ["a BMP image", ascii("BM")],
  ["a ZIP archive", [0x50, 0x4b, 0x03, 0x04]],
  ["a gzip file", [0x1f, 0x8b]],
  ["an HDF5 file", [0x89, 0x48, 0x44, 0x46]],
  ["a NumPy array", [0x93, 0x4e, 0x55, 0x4d]],
  ["a Python pickle", [0x80, 0x02]],
  ["a PDF", ascii("%PDF")],
  ["a web page", ascii("<!")],
  ["a web page", ascii("<html")],
]

const startsWith = (bytes: Uint8Array, start: ReadonlyArray<number>) => start.every((value, i) => bytes[i] === value)

const pointerStart = ascii("version https://git-lfs.github.com/spec/")

/** A description with advice if this is a Git LFS pointer instead of the file; otherwise undefined. */
export const lfsPointer = (bytes: Uint8Array): string | undefined =>
  startsWith(bytes, pointerStart) ? "a Git LFS pointer, not the file itself: run `git lfs pull`" : undefined

/** The kind of a file with a well-known signature; otherwise undefined. */
export const kindOf = (bytes: Uint8Array): string | undefined =>
  lfsPointer(bytes) ?? signatures.find(([, start]) => startsWith(bytes, start))?.[0]

/** The first line, if the bytes begin as text. */
const firstLine = (bytes: Uint8Array): string | undefined => {
  const start = bytes.subarray(0, 80)
  const end = start.findIndex((byte) => byte === 0x0a || byte === 0x0d)
  const line = end < 0 ? start : start.subarray(0, end)
  const isText = line.length > 0 && line.every((byte) => byte === 0x09 || (byte >= 0x20 && byte < 0x7f))
  return isText ? new TextDecoder().decode(line) : undefined
}

/** Describes the beginning of a file for an error message: `89 50 4e 47 (a PNG image)`, `"#!AER-DAT4.0"`. */
export const describeStart = (bytes: Uint8Array): string => {
  if (bytes.length === 0) return "with nothing, for it is empty"
  const line = firstLine(bytes)
  const hex = Array.from(bytes.subarray(0, 4), (value) => value.toString(16).padStart(2, "0")).join(" ")
  const kind = kindOf(bytes)
  return `${line === undefined ? hex : quote(line)}${kind === undefined ? "" : ` (${kind})`}`
}

/** Whether the bytes begin with the signature of gzip. */
export const isGzip = (bytes: Uint8Array): boolean => startsWith(bytes, [0x1f, 0x8b])

/** Number of compressed bytes that are decompressed at a time; they expand by a factor of about 1000 at most. */
const piece = 16384

/**
 * Decompresses gzip data (RFC 1952) with the web-standard `DecompressionStream`, up to the size that the format's header declares.
 *
 * Fails with `MalformedFile` if the data are truncated, do not match their checksum, or exceed the declared size. The
 * offset is that of the compressed 16 KiB piece at which decompression failed, or the end of the file.
 *
 * @param promised returns the total size declared by the first `headerBytes` decompressed bytes (fewer if the data are shorter)
 */
export const gunzip = (
  file: string,
  packed: Uint8Array,
  headerBytes: number,
  promised: (start: Uint8Array) => Result.Result<number, MalformedFile>,
): Effect.Effect<Uint8Array, MalformedFile> =>
  Effect.suspend(() => {
    let taken = 0
    let length = 0
    const malformed = (problem: string) => {
      const offset = Math.min(Math.max(taken - piece, 0), packed.length)
      return new MalformedFile({ file, offset, problem })
    }
    let whole = new Uint8Array(headerBytes)
    let size: number | undefined
    const take = (part: Uint8Array) => {
      for (let at = 0; at < part.length; ) {
        const room = part.subarray(at, at + whole.length - length)
        if (room.length === 0)
          throw malformed(`the gzip data go on beyond the ${length} bytes that its header promises`)
        whole.set(room, length)
        length += room.length
        at += room.length
        if (length === whole.length && size === undefined) grow()
      }
    }
    const grow = () => {
      size = Result.getOrThrow(promised(whole.subarray(0, length)))
      const all = new Uint8Array(Math.max(size, length))
      all.set(whole.subarray(0, length))
      whole = all
    }
    const run = async () => {
      const source = new ReadableStream<Uint8Array<ArrayBuffer>>(
        {
          pull: (controller) => {
            if (taken >= packed.length) return controller.close()
            controller.enqueue(packed.slice(taken, taken + piece))
            taken += piece
          },
        },
        { highWaterMark: 0 },
      )
      for await (const part of source.pipeThrough(new DecompressionStream("gzip"))) take(part)
      if (size === undefined) grow()
      return whole.subarray(0, length)
    }
    return Effect.tryPromise({
      try: run,
      catch: (error) =>
        error instanceof MalformedFile
          ? error
          : malformed(`the gzip data is truncated or corrupt (${length} bytes unpacked of a file of ${packed.length})`),
    })
  })
