/** Several processes or fibers that request the same data set: one downloads it, the others wait. */
import { expect, test } from "bun:test"
import { spawn } from "node:child_process"
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { Effect, References } from "effect"
import { download, open } from "../src/index.ts"
import { cachedIn, cifarRecord, online, run, tar, withDirectory } from "./support.ts"

const content = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 31) % 251)

/** A server that sends the content in two halves, `delay` ms apart; `use` receives its URL and the requested ranges. */
const serving = async (delay: number, use: (url: string, asked: ReadonlyArray<string>) => Promise<void>) => {
  const asked: Array<string> = []
  const server = createServer((request, response) => {
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0)
    asked.push(request.headers.range ?? "whole")
    const rest = content.subarray(start)
    const range = start > 0 ? { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` } : {}
    response.writeHead(start > 0 ? 206 : 200, { "content-length": rest.length, ...range })
    response.write(rest.subarray(0, rest.length / 2))
    setTimeout(() => response.end(rest.subarray(rest.length / 2)), delay)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/data.bin`, asked)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

const program = join(import.meta.dirname, "downloads.ts")

/** Starts a process that downloads a file; returns its result. */
const start = (url: string, file: string) => {
  const child = spawn(process.execPath, [program, url, file], { stdio: "ignore" })
  const ended = new Promise<number | null>((resolve) => child.on("exit", (code) => resolve(code)))
  return { child, ended }
}

const until = async (holds: () => boolean) => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20))
}

// Deno starts child processes differently.
const testProcess = test.skipIf("Deno" in globalThis)

testProcess("three processes download a file once", async () => {
  await withDirectory({}, async (directory) => {
    const file = join(directory, "cache/data.bin")
    await serving(800, async (url, asked) => {
      const children = [1, 2, 3].map(() => start(url, file))
      expect(await Promise.all(children.map(({ ended }) => ended))).toEqual([0, 0, 0])
      expect(asked).toEqual(["whole"])
    })
    expect(new Uint8Array(readFileSync(file))).toEqual(content)
    expect(readdirSync(join(directory, "cache"))).toEqual(["data.bin"])
  })
})

testProcess("resumes the download of a killed process", async () => {
  await withDirectory({}, async (directory) => {
    const file = join(directory, "data.bin")
    await serving(60_000, async (url) => {
      const { child, ended } = start(url, file)
      await until(() => existsSync(`${file}.part`) && readFileSync(`${file}.part`).length === content.length / 2)
      child.kill("SIGKILL")
      await ended
    })
    expect(existsSync(`${file}.lock`)).toBe(true)
    const before = new Date(Date.now() - 60_000)
    utimesSync(`${file}.lock`, before, before)
    await serving(0, async (url, asked) => {
      await run(download(url, file))
      expect(asked).toEqual(["bytes=100000-"])
    })
    expect(new Uint8Array(readFileSync(file))).toEqual(content)
    expect(readdirSync(directory)).toEqual(["data.bin"])
  })
})

test("waits for a lock whose holder is alive, and the wait can be interrupted", async () => {
  await withDirectory({ "data.bin.lock": "" }, async (directory) => {
    await serving(0, async (url, asked) => {
      const waiting = download(url, join(directory, "data.bin")).pipe(
        Effect.timeoutOption("600 millis"),
        Effect.provideService(References.MinimumLogLevel, "None"),
      )
      expect((await run(waiting))._tag).toBe("None")
      expect(asked).toEqual([])
    })
    expect(readdirSync(directory)).toEqual(["data.bin.lock"])
  })
})

test("fibers of one process download and unpack a data set once", async () => {
  const digit = (label: number) => `${[...new Array(64).fill(1), label].join(",")}\n`
  const answer = async ({ url }: Request) => {
    await new Promise((resolve) => setTimeout(resolve, 50))
    return new Response(digit(url.endsWith(".tra") ? 3 : 5))
  }
  const asked: Array<string> = []
  const four = { concurrency: "unbounded" } as const
  await withDirectory({}, async (directory) => {
    const opened = open("optdigits", { timeSteps: 1 }).pipe(cachedIn(directory), online(answer, asked))
    const all = await run(Effect.all([opened, opened, opened, opened], four))
    expect(all.map(({ train, test }) => [train.label(0), test.label(0)])).toEqual(new Array(4).fill([3, 5]))
    expect(asked.length).toBe(2)
  })
  const files = Object.fromEntries(
    [1, 2, 3, 4, 5].map((i) => [`a/data_batch_${i}.bin`, Uint8Array.from(cifarRecord([i], () => 0))]),
  )
  await withDirectory({ "spikeroute/cifar10/x": "" }, async (directory) => {
    const archive = tar({ ...files, "a/test_batch.bin": Uint8Array.from(cifarRecord([9], () => 0)) })
    const folder = join(directory, "spikeroute/cifar10")
    writeFileSync(join(folder, "cifar-10-binary.tar.gz"), gzipSync(archive))
    const opened = open("cifar10", { timeSteps: 1 }).pipe(cachedIn(directory))
    const all = await run(Effect.all([opened, opened, opened, opened], four))
    expect(all.map(({ train, test }) => [train.size, test.label(0)])).toEqual(new Array(4).fill([5, 9]))
    expect(readdirSync(folder).sort()).toEqual(["cifar-10-batches-bin", "cifar-10-binary.tar.gz", "x"])
  })
})
