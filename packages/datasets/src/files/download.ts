/**
 * Downloads that resume, verify checksums, and appear under their final name only when complete.
 *
 * Data are written to `<file>.part`. If that file exists, only the remaining bytes are requested (HTTP Range,
 * RFC 9110 §14). Once all bytes have arrived and the checksum matches, the part is renamed. There are no automatic
 * retries: another call resumes where the previous one stopped. If several processes request the same file, one
 * downloads it and the others wait.
 */
import { check, must, type OptionError, oneOf } from "@spikeroute/core/options"
import { Effect, FileSystem, type Path, Schema, Stream } from "effect"
import * as Digest from "effect/crypto/Digest"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { Callable } from "../checks.ts"
import { ChecksumMismatch, DownloadFailed, FileFailed } from "../errors.ts"
import { exclusively } from "./lock.ts"
import { sizeOf } from "./read.ts"

/** The expected hash of a file, in lowercase hexadecimal. */
export interface Checksum {
  readonly algorithm: "md5" | "sha256"
  readonly hex: string
}

/** Progress of a download. */
export interface Progress {
  readonly url: string
  /** Bytes received so far, including those of earlier attempts. */
  readonly received: number
  /** Size of the file in bytes, if the server states it. */
  readonly total: number | undefined
}

/** The options of `download`. */
export interface DownloadOptions {
  readonly checksum?: Checksum | undefined
  /** Called for every chunk that arrives. */
  readonly onProgress?: ((progress: Progress) => Effect.Effect<void>) | undefined
}

/** The errors of `download`. */
export type DownloadError = DownloadFailed | ChecksumMismatch | FileFailed | OptionError

const ChecksumSchema = Schema.Struct({
  algorithm: oneOf(["md5", "sha256"]),
  hex: Schema.String.check(must("lowercase hexadecimal", (text) => /^[0-9a-f]+$/.test(text))),
})

/** Schema of the arguments of `download`. */
export const DownloadSchema: Schema.Codec<unknown> = Schema.Struct({
  url: Schema.NonEmptyString,
  file: Schema.NonEmptyString,
  checksum: Schema.optionalKey(ChecksumSchema),
  onProgress: Schema.optionalKey(Callable),
})

const algorithms = { md5: Digest.md5, sha256: Digest.sha256 }

const totalOf = (response: HttpClientResponse.HttpClientResponse, start: number): number | undefined => {
  // "bytes 100-199/200", or "bytes */200" if the range is not satisfiable.
  const range = /\/(\d+)$/.exec(response.headers["content-range"] ?? "")
  if (range !== null) return Number(range[1])
  const length = response.headers["content-length"]
  return length === undefined ? undefined : start + Number(length)
}

const startOf = (response: HttpClientResponse.HttpClientResponse): number =>
  Number(/^bytes (\d+)-/.exec(response.headers["content-range"] ?? "")?.[1] ?? Number.NaN)

/**
 * Downloads `url` to `file`. Does nothing if the file already exists.
 *
 * Fails with `DownloadFailed` (the part is kept), `ChecksumMismatch` (nothing is kept), `FileFailed` or `OptionError`.
 *
 * @example
 * yield* download("https://example.org/data.gz", "data.gz", {
 *   checksum: { algorithm: "md5", hex: "f68b3c2dcbeaaa9fbdd348bbdeb94873" },
 * })
 */
export const download: (
  url: string,
  file: string,
  options?: DownloadOptions,
) => Effect.Effect<void, DownloadError, FileSystem.FileSystem | Path.Path | HttpClient.HttpClient> = Effect.fnUntraced(
  function* (url: string, file: string, options: DownloadOptions = {}) {
    yield* check("download", DownloadSchema, { url, file, ...options })
    const fs = yield* FileSystem.FileSystem
    const there = Effect.mapError(fs.exists(file), FileFailed.at(file))
    if (yield* there) return
    yield* Effect.flatMap(there, (now) => (now ? Effect.void : bring(url, file, options))).pipe(exclusively(file))
  },
)

const bring = Effect.fnUntraced(function* (url: string, file: string, options: DownloadOptions) {
  const fs = yield* FileSystem.FileSystem
  const part = `${file}.part`
  const at = FileFailed.at
  let whole = yield* transfer(url, file, part, options)
  // If the server cannot continue the part, start over, once.
  if (!whole) {
    yield* Effect.mapError(fs.remove(part, { force: true }), at(part))
    whole = yield* transfer(url, file, part, options)
  }
  if (!whole) return yield* new DownloadFailed({ url, file, problem: "the server refused every range" })
  yield* verify(url, file, part, options.checksum)
  yield* Effect.mapError(fs.rename(part, file), at(file))
})

/** Appends the remaining bytes to the part. Returns false if the server rejects the part as the beginning of its file. */
const transfer = Effect.fnUntraced(function* (url: string, file: string, part: string, options: DownloadOptions) {
  const fs = yield* FileSystem.FileSystem
  const fail = (problem: string) => new DownloadFailed({ url, file, problem: problem.replaceAll("\n", " ") })
  const at = FileFailed.at(part)
  const have = (yield* Effect.mapError(fs.exists(part), at)) ? yield* sizeOf(part) : 0

  // "identity": if a server compressed a .gz file again for transfer, fetch would decompress both layers.
  const headers = { "accept-encoding": "identity", ...(have > 0 ? { range: `bytes=${have}-` } : {}) }
  const response = yield* HttpClient.get(url, { headers }).pipe(
    Effect.mapError((error) => fail(`no answer: ${error.message}`)),
  )
  const { status } = response
  if (status === 416 && have > 0) return totalOf(response, have) === have
  if (status !== 200 && status !== 206) return yield* fail(`the server answered ${status}`)
  const resumed = status === 206
  if (resumed && startOf(response) !== have) return false

  let received = resumed ? have : 0
  const total = totalOf(response, received)
  yield* Effect.scoped(
    Effect.gen(function* () {
      const out = yield* Effect.mapError(fs.open(part, { flag: resumed ? "a" : "w" }), at)
      const stream = Stream.mapError(response.stream, (error) =>
        fail(
          `the connection broke off after ${received} bytes (${error.message}); run the command again to resume the download`,
        ),
      )
      yield* Stream.runForEach(stream, (piece) =>
        Effect.mapError(out.writeAll(piece), at).pipe(
          Effect.tap(() => {
            received += piece.length
            return options.onProgress?.({ url, received, total }) ?? Effect.void
          }),
        ),
      )
    }),
  )
  if (total !== undefined && received !== total) {
    return yield* fail(
      `the connection broke off after ${received} of ${total} bytes; run the command again to resume the download`,
    )
  }
  return true
})

const verify = Effect.fnUntraced(function* (url: string, file: string, part: string, checksum: Checksum | undefined) {
  if (checksum === undefined) return
  const fs = yield* FileSystem.FileSystem
  const { algorithm, hex: expected } = checksum
  const bytes = yield* Effect.mapError(fs.readFile(part), FileFailed.at(part))
  const actual = yield* Digest.Digest.use((digest) => digest.digestHex(algorithms[algorithm], bytes)).pipe(
    Effect.provide(Digest.layerWebCrypto),
  )
  if (actual === expected) return
  yield* Effect.mapError(fs.remove(part), FileFailed.at(part))
  return yield* new ChecksumMismatch({ url, file, algorithm, expected, actual })
})
