import { describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { Effect } from "effect"
import { named, untar } from "../src/files/unpack.ts"
import { type DownloadOptions, download, open, type Progress } from "../src/index.ts"
import { cachedIn, cifarRecord, failure, online, run, withDirectory } from "./support.ts"

const url = "https://example.org/data.bin"
const content = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) % 256)
const md5 = { algorithm: "md5", hex: createHash("md5").update(content).digest("hex") } as const

/** Streams these bytes in chunks of 100; the connection breaks after `cut` bytes. */
const body = (bytes: Uint8Array, cut = Number.POSITIVE_INFINITY) => {
  let at = 0
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: (controller) => {
      if (at >= cut) return controller.error(new Error("reset by peer"))
      if (at >= bytes.length) return controller.close()
      controller.enqueue(Uint8Array.from(bytes.subarray(at, Math.min(at + 100, cut))))
      at += 100
    },
  })
}

/** A server that supports ranges according to RFC 9110. */
const ranged =
  (bytes: Uint8Array, cut?: number) =>
  ({ headers }: Request): Response => {
    const start = Number(/^bytes=(\d+)-$/.exec(headers.get("range") ?? "")?.[1] ?? 0)
    if (start === 0) return new Response(body(bytes, cut), { headers: { "content-length": `${bytes.length}` } })
    const range = (text: string) => ({ "content-range": `bytes ${text}/${bytes.length}` })
    if (start >= bytes.length) return new Response("no", { status: 416, headers: range("*") })
    return new Response(body(bytes.subarray(start)), { status: 206, headers: range(`${start}-${bytes.length - 1}`) })
  }

/** Downloads into a fresh directory that may hold a part; returns its files and the requests. */
const attempt = async (
  answers: ReadonlyArray<(request: Request) => Response | Promise<Response>>,
  { part, present, ...options }: DownloadOptions & { readonly part?: Uint8Array; readonly present?: Uint8Array } = {},
) => {
  const asked: Array<string> = []
  const errors: Array<string> = []
  let files: Record<string, Uint8Array> = {}
  const start: Record<string, Uint8Array> = {}
  if (part !== undefined) start["data.bin.part"] = part
  if (present !== undefined) start["data.bin"] = present
  await withDirectory(start, async (directory) => {
    for (const answer of answers) {
      const got = download(url, join(directory, "data.bin"), options).pipe(
        online(answer, asked),
        Effect.catch((error) => Effect.sync(() => void errors.push(`${error._tag}: ${error.message}`))),
      )
      await run(got)
    }
    files = Object.fromEntries(
      readdirSync(directory).map((name) => [name, Uint8Array.from(readFileSync(join(directory, name)))]),
    )
  })
  expect(errors.join("")).not.toContain("\n")
  return { asked: asked.map((line) => line.replace(`${url} `, "")), errors, files }
}

describe("download", () => {
  test("downloads the file, verifies it, and reports progress", async () => {
    const seen: Array<Progress> = []
    const onProgress = (progress: Progress) => Effect.sync(() => void seen.push(progress))
    const { files, errors } = await attempt([ranged(content)], { checksum: md5, onProgress })
    expect(errors).toEqual([])
    expect(files).toEqual({ "data.bin": content })
    expect(seen.map(({ received }) => received)).toEqual([100, 200, 300, 400, 500, 600, 700, 800, 900, 1000])
    expect(seen.every((progress) => progress.total === 1000 && progress.url === url)).toBe(true)
  })

  test("does not request a file that exists", async () => {
    const present = Uint8Array.of(1)
    expect(await attempt([ranged(content)], { present, checksum: md5 })).toEqual({
      asked: [],
      errors: [],
      files: { "data.bin": present },
    })
  })

  test("resumes after a broken connection", async () => {
    const seen: Array<number> = []
    const onProgress = ({ received, total }: Progress) => Effect.sync(() => void seen.push(received, total ?? 0))
    const { asked, errors, files } = await attempt([ranged(content, 300), ranged(content)], {
      checksum: md5,
      onProgress,
    })
    expect(asked).toEqual(["whole", "bytes=300-"])
    expect(errors.length).toBe(1)
    expect(errors[0]).toStartWith(`DownloadFailed: ${url}: the connection broke off after 300 bytes (`)
    expect(errors[0]).toEndWith("); run the command again to resume the download")
    expect(files).toEqual({ "data.bin": content })
    expect(seen.slice(6, 8)).toEqual([400, 1000])
  })

  test("keeps the received bytes", async () => {
    const { files } = await attempt([ranged(content, 300)])
    expect(files).toEqual({ "data.bin.part": content.subarray(0, 300) })
    const short = () => new Response(body(content.subarray(0, 200)), { headers: { "content-length": "1000" } })
    const quiet = await attempt([short])
    expect(quiet.errors[0]).toContain("the connection broke off after 200 of 1000 bytes")
    expect(quiet.files).toEqual({ "data.bin.part": content.subarray(0, 200) })
  })

  test("starts over if the server does not continue the part", async () => {
    const part = content.subarray(0, 300)
    const deaf = () => new Response(body(content))
    expect((await attempt([deaf], { part, checksum: md5 })).files).toEqual({ "data.bin": content })

    const elsewhere = (request: Request) =>
      request.headers.has("range")
        ? new Response(body(content), { status: 206, headers: { "content-range": "bytes 0-999/1000" } })
        : ranged(content)(request)
    const again = await attempt([elsewhere], { part, checksum: md5 })
    expect(again).toEqual({ asked: ["bytes=300-", "whole"], errors: [], files: { "data.bin": content } })

    const longer = await attempt([ranged(content)], { part: new Uint8Array(1001), checksum: md5 })
    expect(longer).toEqual({ asked: ["bytes=1001-", "whole"], errors: [], files: { "data.bin": content } })
  })

  test("accepts a part that is already complete", async () => {
    const { asked, files } = await attempt([ranged(content)], { part: content, checksum: md5 })
    expect(asked).toEqual(["bytes=1000-"])
    expect(files).toEqual({ "data.bin": content })
  })

  test("keeps nothing if the checksum is wrong", async () => {
    for (const algorithm of ["md5", "sha256"] as const) {
      const checksum = { algorithm, hex: "00" }
      const actual = createHash(algorithm).update(content).digest("hex")
      const { errors, files } = await attempt([ranged(content)], { checksum })
      expect(errors[0]).toStartWith(
        `ChecksumMismatch: ${url}: ${algorithm} should be 00, is ${actual}; nothing was kept`,
      )
      expect(files).toEqual({})
    }
  })

  test("refuses an invalid checksum", async () => {
    for (const checksum of [{ algorithm: "sha1", hex: "00" }, { algorithm: "md5", hex: "not hexadecimal" }, "00"])
      expect((await attempt([ranged(content)], { checksum: checksum as never })).errors[0]).toStartWith("OptionError")
  })

  test("reports the server's status, or that there was no answer", async () => {
    expect((await attempt([() => new Response("gone", { status: 404 })])).errors).toEqual([
      `DownloadFailed: ${url}: the server answered 404`,
    ])
    const { errors, files } = await attempt([() => Promise.reject(new TypeError("cannot\nconnect"))])
    expect(errors[0]).toStartWith(`DownloadFailed: ${url}: no answer: `)
    expect(files).toEqual({})
  })
})

describe("the cache", () => {
  const digit = (label: number) => `${[...new Array(64).fill(1), label].join(",")}\n`
  const openIn = (directory: string, name: string, onProgress?: (progress: Progress) => Effect.Effect<void>) =>
    open(name, { timeSteps: 1, onProgress }).pipe(cachedIn(directory))

  test("missing files are downloaded once", async () => {
    const answer = ({ url }: Request) => new Response(digit(url.endsWith(".tra") ? 3 : 5))
    const asked: Array<string> = []
    let pieces = 0
    const count = () => Effect.sync(() => void pieces++)
    await withDirectory({}, async (directory) => {
      for (let i = 0; i < 2; i++) {
        const dataset = await run(openIn(directory, "optdigits", count).pipe(online(answer, asked)))
        expect([dataset.train.label(0), dataset.test.label(0)]).toEqual([3, 5])
      }
      expect(readdirSync(join(directory, "spikeroute/optdigits")).sort()).toEqual(["optdigits.tes", "optdigits.tra"])
    })
    const base = "https://archive.ics.uci.edu/ml/machine-learning-databases/optdigits/"
    expect(asked).toEqual([`${base}optdigits.tra whole`, `${base}optdigits.tes whole`])
    expect(pieces).toBe(2)
  })

  test("a file other than the published one is refused", async () => {
    await withDirectory({}, async (directory) => {
      const error = await failure(openIn(directory, "mnist").pipe(online(() => new Response("another file"))))
      expect(error._tag).toBe("ChecksumMismatch")
      expect(readdirSync(join(directory, "spikeroute/mnist"))).toEqual([])
    })
  })

  test("an archive is unpacked, and never read when incomplete", async () => {
    const train = [1, 2, 3, 4, 5].map((i) => [`cifar-10-batches-bin/data_batch_${i}.bin`, [i]] as const)
    const archive = tar([...train, ["cifar-10-batches-bin/test_batch.bin", [9]], ["../evil.bin", [0]]])
    await withDirectory({}, async (directory) => {
      await run(
        openIn(directory, "cifar10").pipe(
          online(() => new Response("no", { status: 500 })),
          Effect.flip,
        ),
      )
      const folder = join(directory, "spikeroute/cifar10")
      writeFileSync(join(folder, "cifar-10-binary.tar.gz"), gzipSync(archive.subarray(0, 9000)))
      const cut = await failure(openIn(directory, "cifar10"))
      expect(cut.message).toStartWith(`${folder}/cifar-10-binary.tar.gz: not a whole tar archive`)
      expect(cut.message).not.toContain("\n")
      expect(existsSync(join(folder, "cifar-10-batches-bin"))).toBe(false)

      writeFileSync(join(folder, "cifar-10-binary.tar.gz"), gzipSync(archive))
      const dataset = await run(openIn(directory, "cifar10"))
      expect(Array.from({ length: 5 }, (_, i) => dataset.train.label(i))).toEqual([1, 2, 3, 4, 5])
      expect(dataset.test.label(0)).toBe(9)
      expect(readdirSync(folder).sort()).toEqual(["cifar-10-batches-bin", "cifar-10-binary.tar.gz"])

      writeFileSync(join(folder, "other.tar.gz"), gzipSync(tar([["x.bin", [1]]])))
      const most = { bytes: 1e6, files: 1 }
      await run(untar(join(folder, "other.tar.gz"), named(/^x/), join(folder, "cifar-10-batches-bin"), most))
      expect(readdirSync(join(folder, "cifar-10-batches-bin"))).toEqual(["x.bin"])
    })
  })
})

/** A tar archive (POSIX ustar) of CIFAR records with the given labels. */
const tar = (files: ReadonlyArray<readonly [path: string, labels: ReadonlyArray<number>]>): Uint8Array => {
  const blocks = files.map(([path, labels]) => {
    const data = labels.flatMap((label) => cifarRecord([label], () => 0))
    const block = Buffer.alloc(512 + Math.ceil(data.length / 512) * 512)
    block.write(path, 0)
    block.write("0000644\0", 100)
    block.write(`${data.length.toString(8).padStart(11, "0")}\0`, 124)
    block.write("00000000000\0", 136)
    block.write("        0", 148)
    block.write("ustar\x0000", 257)
    const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0)
    block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148)
    block.set(data, 512)
    return block
  })
  return Uint8Array.from(Buffer.concat([...blocks, Buffer.alloc(1024)]))
}
