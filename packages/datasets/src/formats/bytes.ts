/** What the readers of binary formats share: telling what a foreign file is, and unpacking gzip. */
import { Effect } from "effect"
import { MalformedFile } from "../errors.ts"

const signatures: ReadonlyArray<readonly [kind: string, bytes: ReadonlyArray<number>]> = [
  ["a PNG image", [0x89, 0x50, 0x4e, 0x47]],
  ["a JPEG image", [0xff, 0xd8, 0xff]],
  ["a ZIP archive", [0x50, 0x4b, 0x03, 0x04]],
  ["a gzip file", [0x1f, 0x8b]],
  ["a PDF", [0x25, 0x50, 0x44, 0x46]],
  ["a web page", [0x3c, 0x21]],
  ["a web page", [0x3c, 0x68, 0x74, 0x6d, 0x6c]],
]

const startsWith = (bytes: Uint8Array, start: ReadonlyArray<number>) => start.every((value, i) => bytes[i] === value)

/** The beginning of a file for an error message: "89 50 4e 47 (a PNG image)". */
export const describeStart = (bytes: Uint8Array): string => {
  const hex = Array.from(bytes.subarray(0, 4), (value) => value.toString(16).padStart(2, "0")).join(" ")
  const kind = signatures.find(([, start]) => startsWith(bytes, start))?.[0]
  return kind === undefined ? hex : `${hex} (${kind})`
}

/** Does this begin as gzip data do? */
export const isGzip = (bytes: Uint8Array): boolean => startsWith(bytes, [0x1f, 0x8b])

/**
 * Unpacks gzip data (RFC 1952) with the web-standard `DecompressionStream`.
 *
 * Fails with `MalformedFile` where the data are cut off or do not match their checksum. The offset is that of the
 * packed piece (of 64 KiB) at which unpacking failed, or the end of the file.
 */
export const gunzip = (file: string, packed: Uint8Array): Effect.Effect<Uint8Array, MalformedFile> =>
  Effect.suspend(() => {
    const piece = 65536
    let taken = 0
    const unpacked: Array<Uint8Array> = []
    let length = 0
    const run = async () => {
      const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
        pull: (controller) => {
          if (taken >= packed.length) return controller.close()
          controller.enqueue(packed.slice(taken, taken + piece))
          taken += piece
        },
      })
      for await (const part of source.pipeThrough(new DecompressionStream("gzip"))) {
        unpacked.push(part)
        length += part.length
      }
      const whole = new Uint8Array(length)
      let at = 0
      for (const part of unpacked) {
        whole.set(part, at)
        at += part.length
      }
      return whole
    }
    return Effect.tryPromise({
      try: run,
      catch: () =>
        new MalformedFile({
          file,
          offset: Math.min(Math.max(taken - piece, 0), packed.length),
          problem: `the gzip data are cut off or corrupt (${length} bytes unpacked of a file of ${packed.length})`,
        }),
    })
  })
