import { describe, expect, test } from "bun:test"
import * as Key from "@spikeroute/core/random"
import { Effect, Stream } from "effect"
import fc from "fast-check"
import {
  type Batch,
  type BatchOptions,
  batchCount,
  batches,
  compose,
  type Dataset,
  EventTransforms,
  imageSplit,
  MalformedFile,
  makeShapes,
  OptionError,
} from "../src/index.ts"

/** A data set whose sample i is the number i, plus noise if there is a key. */
const counting = (size: number): Dataset => {
  const split = {
    size,
    label: (index: number) => index % 7,
    write: (samples: ArrayLike<number>, keys: ReadonlyArray<Key.Key> | undefined, out: Float32Array) =>
      Effect.sync(() => {
        for (let i = 0; i < samples.length; i++) {
          const key = keys?.[i]
          const noise = key === undefined ? 0 : (Key.uniform(key, new Float32Array(1))[0] as number) / 2
          out[i] = (samples[i] as number) + noise
        }
      }),
  }
  return { name: "counting", shape: [1], classes: 7, encoding: "static", train: split, test: split }
}

const collect = (dataset: Dataset, options: BatchOptions): Array<Batch> =>
  Effect.runSync(Stream.runCollect(batches(dataset, "train", options)))
const asked = (dataset: Dataset, options: BatchOptions) =>
  Effect.runPromise(Effect.flip(Stream.runCollect(batches(dataset, "train", options))))

const plain = (batch: Batch) => ({ ...batch, inputs: Array.from(batch.inputs), labels: Array.from(batch.labels) })
const samplesOf = (epoch: ReadonlyArray<Batch>) =>
  epoch.flatMap((batch) => Array.from(batch.inputs.subarray(0, batch.size), Math.floor))

const cases = fc.record({
  size: fc.integer({ min: 1, max: 40 }),
  batchSize: fc.integer({ min: 1, max: 12 }),
  limit: fc.option(fc.integer({ min: 1, max: 50 }), { nil: undefined }),
  seed: fc.option(fc.nat(), { nil: undefined }),
})

describe("batches", () => {
  test("padded: every sample once, in an order determined by the key", () => {
    fc.assert(
      fc.property(cases, ({ size, batchSize, limit, seed }) => {
        const key = seed === undefined ? undefined : Key.make(seed)
        const epoch = collect(counting(size), { batchSize, timeSteps: 1, limit, key, remainder: "pad" })
        const count = Math.min(limit ?? size, size)
        const samples = samplesOf(epoch)
        const inOrder = Array.from({ length: count }, (_, i) => i)
        expect(epoch.length).toBe(batchCount(count, batchSize, "pad"))
        expect(key === undefined ? samples : samples.toSorted((a, b) => a - b)).toEqual(inOrder)
        epoch.forEach((batch, i) => {
          expect(batch.index).toBe(i)
          expect(batch.inputs.length).toBe(batchSize)
          expect(Array.from(batch.labels)).toEqual(Array.from(batch.inputs, (value) => Math.floor(value) % 7))
        })
      }),
    )
  })

  test("dropped: only full batches", () => {
    const epoch = collect(counting(10), { batchSize: 4, timeSteps: 1, remainder: "drop" })
    expect(epoch.map((batch) => batch.size)).toEqual([4, 4])
    expect(samplesOf(epoch)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })

  test("padding repeats the epoch's first samples", () => {
    const epoch = collect(counting(5), { batchSize: 3, timeSteps: 1, remainder: "pad" })
    expect(Array.from(epoch[1]?.inputs ?? [])).toEqual([3, 4, 0])
    expect(epoch[1]?.size).toBe(2)
  })

  test("from resumes with exactly the batches of an uninterrupted run", () => {
    fc.assert(
      fc.property(cases, fc.nat({ max: 8 }), fc.constantFrom("drop", "pad"), (each, from, remainder) => {
        const { size, batchSize, limit, seed } = each
        fc.pre(remainder === "pad" || Math.min(limit ?? size, size) >= batchSize)
        const options = { batchSize, timeSteps: 1, limit, key: Key.make(seed ?? 0), remainder }
        const whole = collect(counting(size), options)
        const resumed = collect(counting(size), { ...options, from })
        expect(resumed.map(plain)).toEqual(whole.slice(from).map(plain))
      }),
    )
  })

  test("the shares of a batch make up the batch, and strided batches make up the epoch", () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 1, max: 4 }), ({ size, batchSize, limit, seed }, count) => {
        const dataset = counting(size)
        const key = seed === undefined ? undefined : Key.make(seed)
        const options = { batchSize: batchSize * count, timeSteps: 1, limit, key, remainder: "pad" } as const
        const whole = collect(dataset, options).map(plain)
        const shares = Array.from({ length: count }, (_, index) =>
          collect(dataset, { ...options, share: { index, count } }).map(plain),
        )
        const joined = whole.map((batch, b) => ({
          ...batch,
          inputs: shares.flatMap((share) => share[b]?.inputs ?? []),
          labels: shares.flatMap((share) => share[b]?.labels ?? []),
          size: shares.reduce((sum, share) => sum + (share[b]?.size ?? 0), 0),
        }))
        expect(joined).toEqual(whole)
        const dealt = shares.flatMap((_, from) => collect(dataset, { ...options, from, every: count }).map(plain))
        expect(dealt.toSorted((a, b) => a.index - b.index)).toEqual(whole)
      }),
    )
  })

  test("a different key gives a different order and different noise", () => {
    const epoch = (seed: number) =>
      collect(counting(32), { batchSize: 32, timeSteps: 1, key: Key.make(seed), remainder: "drop" }).map(plain)
    expect(epoch(1)).toEqual(epoch(1))
    expect(
      samplesOf(collect(counting(32), { batchSize: 32, timeSteps: 1, key: Key.make(1), remainder: "drop" })),
    ).not.toEqual(
      samplesOf(collect(counting(32), { batchSize: 32, timeSteps: 1, key: Key.make(2), remainder: "drop" })),
    )
  })

  test("prefetching never overwrites a batch in use, and timing has no effect", async () => {
    const options = { batchSize: 3, timeSteps: 1, key: Key.make(3), remainder: "pad" } as const
    const expected = collect(counting(20), options).map(plain)
    const buffers = new Set<ArrayBufferLike>()
    const slowly = batches(counting(20), "train", options).pipe(
      Stream.mapEffect((batch) => {
        const before = plain(batch)
        buffers.add(batch.inputs.buffer)
        return Effect.sleep(2).pipe(Effect.map(() => [before, plain(batch)] as const))
      }),
    )
    const seen = await Effect.runPromise(Stream.runCollect(slowly))
    for (const [before, after] of seen) expect(after).toEqual(before)
    expect(seen.map(([before]) => before)).toEqual(expected)
    expect(buffers.size).toBe(expected.length)
  })

  test("at most two batches are prefetched while one is in use", async () => {
    const log: Array<string> = []
    const slow = counting(20)
    const write: Dataset["train"]["write"] = (samples, keys, out) =>
      Effect.sleep(3).pipe(
        Effect.andThen(slow.train.write(samples, keys, out)),
        Effect.tap(Effect.sync(() => void log.push("made"))),
      )
    const dataset = { ...slow, train: { ...slow.train, write } }
    const ahead: Array<number> = []
    const epoch = batches(dataset, "train", { batchSize: 2, timeSteps: 1, remainder: "drop" })
    const use = (batch: Batch) =>
      Effect.sleep(30).pipe(Effect.andThen(Effect.sync(() => void ahead.push(log.length - batch.index - 1))))
    await Effect.runPromise(Stream.runForEach(epoch, use))
    expect(ahead).toEqual([2, 2, 2, 2, 2, 2, 2, 2, 1, 0])
  })

  test("a batch that cannot be made fails after the earlier ones, and stopping early stops prefetching", async () => {
    const good = counting(20)
    let made = 0
    const write: Dataset["train"]["write"] = (samples, keys, out) =>
      ++made === 4
        ? Effect.fail(new MalformedFile({ file: "f", offset: 7, problem: "broken" }))
        : good.train.write(samples, keys, out)
    const epoch = batches({ ...good, train: { ...good.train, write } }, "train", {
      batchSize: 2,
      timeSteps: 1,
      remainder: "drop",
    })
    const seen: Array<number> = []
    const use = (batch: Batch) => Effect.sync(() => void seen.push(batch.index))
    const error = await Effect.runPromise(Effect.flip(Stream.runForEach(epoch, use)))
    expect(error.message).toBe("f, byte 7: broken")
    expect(seen).toEqual([0, 1, 2])

    made = 10
    await Effect.runPromise(Stream.runForEach(Stream.take(epoch, 1), () => Effect.sleep(5)))
    const after = made
    await Effect.runPromise(Effect.sleep(5))
    expect(after - 10).toBeLessThanOrEqual(3)
    expect(made).toBe(after)
  })

  test("with augmentation, the same key gives the same bits, uninterrupted or resumed", () => {
    const eventTransform = compose(EventTransforms.spatialJitter(), EventTransforms.dropEvent(0.2))
    const options = { batchSize: 4, timeSteps: 3, key: Key.make(8), limit: 13, remainder: "pad" } as const
    const epoch = (from: number) =>
      collect(makeShapes({ timeSteps: 3, train: 20, test: 1, eventTransform }), { ...options, from }).map(plain)
    const whole = epoch(0)
    expect(whole.length).toBe(4)
    expect(epoch(0)).toEqual(whole)
    expect(epoch(2)).toEqual(whole.slice(2))
    expect(epoch(4)).toEqual([])
  })

  test("frames have shape [T, N, …], images [N, …]", () => {
    const shapes = makeShapes({ timeSteps: 3, train: 4, test: 1 })
    const [batch] = collect(shapes, { batchSize: 2, timeSteps: 3, remainder: "drop" })
    expect(batch?.inputs.length).toBe(3 * 2 * 16 * 16 * 2)
    // Sample 1 on its own equals sample 1 in the batch.
    const alone = new Float32Array(3 * 512)
    Effect.runSync(shapes.train.write([1], undefined, alone))
    for (let step = 0; step < 3; step++) {
      expect(batch?.inputs.subarray((step * 2 + 1) * 512, (step * 2 + 2) * 512)).toEqual(
        alone.subarray(step * 512, (step + 1) * 512),
      )
    }
    const split = imageSplit(
      { shape: [1, 1, 2], pixels: Uint8Array.of(1, 2, 3, 4), labels: Uint8Array.of(0, 1) },
      { white: 1 },
    )
    const images: Dataset = { name: "i", shape: [1, 1, 2], classes: 2, encoding: "static", train: split, test: split }
    const [still] = collect(images, { batchSize: 2, timeSteps: 5, remainder: "drop" })
    expect(Array.from(still?.inputs ?? [])).toEqual([1, 2, 3, 4])
  })

  test("invalid options are refused", async () => {
    const good = { batchSize: 4, timeSteps: 1, remainder: "drop" } as const
    const refused: ReadonlyArray<Readonly<Record<string, unknown>>> = [
      { batchSize: 0 },
      { batchSize: 2.5 },
      { batchSize: Number.NaN },
      { batchSize: undefined },
      { batchSize: 2 ** 31 },
      { timeSteps: 0 },
      { limit: 0 },
      { from: -1 },
      { every: 0 },
      { share: { index: 0, count: 3 } },
      { share: { index: 2, count: 2 } },
      { remainder: "keep" },
      { key: 3 },
      { size: 3 },
      { batchSize: 11 },
    ]
    for (const options of refused) {
      const error = await asked(counting(10), { ...good, ...options } as BatchOptions)
      expect([options, error]).toMatchObject([options, { _tag: "OptionError", owner: "batches" }])
      if (error._tag === "OptionError") expect(error.option).toBe(Object.keys(options)[0] as string)
    }
    const huge = { ...counting(10), shape: [2 ** 15, 2 ** 15, 2] }
    expect(await asked(huge, good)).toMatchObject({ _tag: "OptionError", option: "batchSize" })
    const validation = batches(counting(10), "validation" as "test", good)
    expect(await Effect.runPromise(Effect.flip(Stream.runDrain(validation)))).toMatchObject({ option: "split" })
    const shapes = makeShapes({ timeSteps: 4, train: 4, test: 1 })
    const wrong = await asked(shapes, { batchSize: 2, timeSteps: 5, remainder: "drop" })
    expect(wrong).toMatchObject({ _tag: "OptionError", option: "timeSteps", value: 5 })
    for (const [samples, batchSize, remainder] of [
      [10, 0, "drop"],
      [-1, 2, "pad"],
      [10, 2, "keep"],
    ] as const)
      expect(() => batchCount(samples, batchSize, remainder as "pad")).toThrow(OptionError)
  })

  test("a batch with nonexistent samples is refused", async () => {
    const { train } = makeShapes({ timeSteps: 1, train: 4, test: 1 })
    const out = new Float32Array(512)
    for (const samples of [[4], [-1], [0.5], [Number.NaN]])
      expect(await Effect.runPromise(Effect.flip(train.write(samples, undefined, out)))).toMatchObject({
        _tag: "OptionError",
        option: "samples.0",
      })
    const keys = [Key.make(1), Key.make(2)]
    expect(await Effect.runPromise(Effect.flip(train.write([0], keys, out)))).toMatchObject({ option: "keys" })
  })
})
