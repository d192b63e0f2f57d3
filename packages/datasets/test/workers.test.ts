import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import * as NodeWorker from "@effect/platform-node/NodeWorker"
import * as Key from "@spikeroute/core/random"
import { Effect, Fiber, References, Stream } from "effect"
import { batches, type Dataset, open, openInWorkers } from "../src/index.ts"
import { aedat2, failure, png, run, withDirectory } from "./support.ts"

const workers = NodeWorker.layer(() => new Worker(new URL("./worker.ts", import.meta.url)))

const images = Object.fromEntries(
  ["train", "val"].flatMap((part) =>
    Array.from({ length: 11 }, (_, i) => [
      `${part}/${i % 2 === 0 ? "cat" : "dog"}/${i}.png`,
      png(9 + i, 20 - i, (x, y) => [(x * 20) % 256, (y * 20 + i) % 256, i * 5]),
    ]),
  ),
)

/** The batches of an epoch as plain numbers. */
const epochOf = (dataset: Dataset, from = 0) =>
  Stream.runCollect(
    batches(dataset, "train", { batchSize: 4, timeSteps: 3, key: Key.make(6), remainder: "pad", from }),
  ).pipe(Effect.map((epoch) => epoch.map(({ inputs, labels }) => [Array.from(inputs), Array.from(labels)])))

describe("openInWorkers", () => {
  test("gives identical bytes for any number of workers, uninterrupted or resumed", async () => {
    await withDirectory(images, async (dataDir) => {
      const of = (name: string, options: object, count: number, from = 0) =>
        run(
          Effect.scoped(
            Effect.flatMap(openInWorkers(name, { timeSteps: 3, dataDir, ...options }, count), (dataset) =>
              epochOf(dataset, from),
            ),
          ).pipe(Effect.provide(workers)),
        )
      const inline = await of("image-folder", { size: 6 }, 0)
      expect(inline.length).toBe(3)
      expect(await of("image-folder", { size: 6 }, 3)).toEqual(inline)
      expect(await of("image-folder", { size: 6 }, 2, 1)).toEqual(inline.slice(1))
    })
  }, 30_000)

  test("frames from each worker are written to their strided positions in the batch", async () => {
    const recording = (seed: number) =>
      aedat2(Array.from({ length: 50 }, (_, i) => ({ column: (i * seed) % 128, row: i, off: i % 2, time: i })))
    const classes = "airplane automobile bird cat deer dog frog horse ship truck".split(" ")
    const files = classes.flatMap((name, i) =>
      [i, 900].map((number) => [`${name}/cifar10_${name}_${number}.aedat`, recording(i + 1)] as const),
    )
    await withDirectory(Object.fromEntries(files), async (dataDir) => {
      const of = (count: number) =>
        run(
          Effect.scoped(
            Effect.flatMap(
              openInWorkers("cifar10-dvs", { timeSteps: 3, dataDir, size: 16, augment: ["flip", "roll"] }, count),
              (dataset) => epochOf(dataset),
            ),
          ).pipe(Effect.provide(workers)),
        )
      expect(await of(2)).toEqual(await of(0))
    })
  }, 30_000)

  test("a sample's error arrives with its type, and the workers continue", async () => {
    const broken = { ...images, "train/cat/4.png": "no picture" }
    await withDirectory(broken, async (dataDir) => {
      const options = { timeSteps: 1, dataDir, size: 4 }
      await run(
        Effect.scoped(
          Effect.gen(function* () {
            const { train } = yield* openInWorkers("image-folder", options, 2)
            const all = Array.from({ length: train.size }, (_, i) => i)
            const error = yield* Effect.flip(train.write(all, undefined, new Float32Array(all.length * 48)))
            expect(error._tag).toBe("MalformedFile")
            expect(error.message).toStartWith(`${join(dataDir, "train/cat/4.png")}: begins "no picture"`)
            const out = new Float32Array(48)
            yield* train.write([0], undefined, out)
            const inline = new Float32Array(48)
            yield* (yield* open("image-folder", options)).train.write([0], undefined, inline)
            expect(out).toEqual(inline)
            const wrong = yield* Effect.flip(train.write([0], undefined, new Float32Array(96)))
            expect(wrong._tag).toBe("OptionError")
          }),
        ).pipe(Effect.provide(workers)),
      )
    })
  })

  test("workers remain usable after an interrupted read", async () => {
    await withDirectory(images, async (dataDir) => {
      await run(
        Effect.scoped(
          Effect.gen(function* () {
            const dataset = yield* openInWorkers("image-folder", { timeSteps: 1, dataDir, size: 64 }, 2)
            const many = Array.from({ length: 400 }, (_, i) => i % dataset.train.size)
            const reader = yield* Effect.forkChild(
              dataset.train.write(many, undefined, new Float32Array(400 * 64 * 64 * 3)),
            )
            yield* Effect.sleep(20)
            yield* Fiber.interrupt(reader)
            const out = new Float32Array(64 * 64 * 3)
            yield* dataset.train.write([3], undefined, out)
            expect(out.some((value) => value !== 0)).toBe(true)
          }),
        ).pipe(Effect.provide(workers)),
      )
    })
  })

  test("a worker that terminates fails the read with a typed error instead of hanging", async () => {
    const started: Array<Worker> = []
    const mortal = NodeWorker.layer(() => {
      const worker = new Worker(new URL("./worker.ts", import.meta.url))
      started.push(worker)
      return worker
    })
    const error = await failure(
      Effect.scoped(
        Effect.gen(function* () {
          const { train } = yield* openInWorkers("shapes", { timeSteps: 3 }, 1)
          for (const worker of started) yield* Effect.promise(() => worker.terminate())
          yield* train.write([0], undefined, new Float32Array(3 * 512))
        }),
      ).pipe(Effect.provide(mortal)),
    )
    expect(error._tag).toBe("WorkerFailed")
    expect(error.message).toContain("a worker that reads samples failed")
  })

  test("the number of workers is validated", async () => {
    const none = NodeWorker.layer(() => {
      throw new Error("a worker was started")
    })
    for (const number of [100_000, 65, -1, 1.5, Number.NaN, "2" as unknown as number]) {
      const opened = openInWorkers("shapes", { timeSteps: 1 }, number).pipe(Effect.scoped, Effect.provide(none))
      expect([number, await failure(opened)]).toMatchObject([number, { _tag: "OptionError", option: "workers" }])
    }
  })

  test("without workers, samples are made in the calling thread and a warning is logged", async () => {
    const none = NodeWorker.layer(() => {
      throw new Error("threads are not allowed here")
    })
    const missing = NodeWorker.layer(() => new Worker(new URL("./no-such-worker.ts", import.meta.url)))
    for (const layer of [none, missing]) {
      const epoch = await run(
        Effect.scoped(
          Effect.flatMap(openInWorkers("shapes", { timeSteps: 3 }, 2), ({ train }) => {
            const out = new Float32Array(3 * 512)
            return Effect.as(train.write([5], undefined, out), out)
          }),
        ).pipe(Effect.provide(layer), Effect.provideService(References.MinimumLogLevel, "None")),
      )
      const inline = new Float32Array(3 * 512)
      await run(Effect.flatMap(open("shapes", { timeSteps: 3 }), ({ train }) => train.write([5], undefined, inline)))
      expect(epoch).toEqual(inline)
    }
  })
})
