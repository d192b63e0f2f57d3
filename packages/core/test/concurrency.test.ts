/** Several fibers with one trainer or predictor, on a backend that answers at once and on one that answers later. */
import { describe, expect, test } from "bun:test"
import { Effect, Fiber, Layer, type Scope } from "effect"
import {
  Backend,
  batchNorm,
  defaultLoss,
  dropout,
  type Executable,
  Graph,
  Key,
  lif,
  linear,
  Optimizer,
  Policy,
  Train,
} from "../src/index.ts"
import { Conformance } from "../src/testing/index.ts"

const graph = Graph.makeUnsafe(
  [3],
  Graph.sequential(linear({ features: 8 }), batchNorm(), lif({ tau: 2 }), dropout(0.2), linear({ features: 2 })),
)

const options = {
  batchSize: 2,
  timeSteps: 3,
  encoding: "frames",
  loss: defaultLoss,
  optimizer: Optimizer.adam(),
  key: Key.make(1),
} as const

/** The oracle, whose every answer takes a turn of the event loop. */
const later: Layer.Layer<Backend> = Layer.effect(
  Backend,
  Effect.map(Backend, (oracle) =>
    Backend.of({
      ...oracle,
      prepare: (program) =>
        Effect.map(oracle.prepare(program), (executable): Executable => {
          const slow = <A, E>(effect: Effect.Effect<A, E>) =>
            Effect.andThen(
              Effect.promise(() => Bun.sleep(0)),
              effect,
            )
          return {
            ...executable,
            write: (...given) => slow(executable.write(...given)),
            read: (...given) => slow(executable.read(...given)),
            run: (...given) => slow(executable.run(...given)),
            gradientsAreFinite: slow(executable.gradientsAreFinite),
            upload: () => slow(Effect.void),
          }
        }),
    }),
  ),
).pipe(Layer.provide(Conformance.oracle()))

const batchOf = (i: number): Train.Batch => ({
  inputs: Key.uniform(Key.fold(Key.make(7), i), new Float32Array(18)).map((u) => 4 * u),
  labels: Float32Array.of(i % 2, (i >> 1) % 2),
})
const count = 6
const batches = Array.from({ length: count }, (_, i) => batchOf(i))
const at = (i: number) => ({ update: i + 1, learningRate: 0.1 })

describe.each([
  ["that answers at once", Conformance.oracle()],
  ["that answers later", later],
])("a backend %s", (_, layer) => {
  const run = <A, E>(effect: Effect.Effect<A, E, Backend | Scope.Scope>) =>
    Effect.runPromise(effect.pipe(Effect.scoped, Effect.provide(layer)))
  const trainer = Train.make(graph, Policy.bptt, options)
  const together = { concurrency: "unbounded" } as const

  test("every prediction is that of its own samples, with the weights loaded before it", async () => {
    await run(
      Effect.gen(function* () {
        const predictor = yield* Train.makePredictor(graph, options)
        const weights = [
          yield* (yield* trainer).save,
          yield* (yield* Train.make(graph, Policy.bptt, { ...options, key: Key.make(2) })).save,
        ]
        const asked = Array.from({ length: 4 * count }, (_, i) => ({
          tensors: weights[i % 2]!,
          batch: batches[i % count]!,
        }))
        const ask = ({ tensors, batch }: (typeof asked)[number]): ReadonlyArray<Effect.Effect<unknown, unknown>> => [
          predictor.load(tensors),
          predictor.predict(batch.inputs),
        ]
        const expected = yield* Effect.all(asked.flatMap(ask))
        expect(yield* Effect.all(asked.flatMap(ask), together)).toEqual(expected)
        expect(new Set(expected.map((answer) => JSON.stringify(answer))).size).toBeGreaterThan(count)
      }),
    )
  })

  test("steps, gradients, saves and loads are serialised in the order in which they start", async () => {
    const all = (order: "one by one" | "together") =>
      run(
        Effect.gen(function* () {
          const made = yield* trainer
          const first = yield* made.save
          const effects: ReadonlyArray<Effect.Effect<unknown, unknown>> = batches.flatMap((batch, i) => [
            made.step(batch, { ...at(i), next: batches[i + 1] }),
            made.save,
            made.differentiate(batch, { update: i + 1 }),
            ...(i === 3 ? [made.load(first)] : []),
            ...(i === 4 ? [made.loadParameters(first)] : []),
          ])
          const results = yield* Effect.all(effects, order === "together" ? together : {})
          return [...results, yield* made.save]
        }),
      )
    expect(await all("together")).toEqual(await all("one by one"))
  })

  test("a rejected step does not affect waiting ones", async () => {
    await run(
      Effect.gen(function* () {
        const [one, other] = [yield* trainer, yield* trainer]
        const expected = [yield* one.step(batches[0]!, at(0)), yield* one.step(batches[1]!, at(1))]
        const wrong = { ...batches[2]!, labels: Float32Array.of(5, 5) }
        const results = yield* Effect.all(
          [other.step(batches[0]!, at(0)), Effect.flip(other.step(wrong, at(1))), other.step(batches[1]!, at(1))],
          together,
        )
        expect([results[0], results[2]]).toEqual(expected)
        expect(yield* other.save).toEqual(yield* one.save)
      }),
    )
  })

  test("an interrupted step has either happened completely or not at all", async () => {
    await run(
      Effect.gen(function* () {
        const reference = yield* trainer
        const before = yield* reference.save
        yield* reference.step(batches[0]!, at(0))
        const after = yield* reference.save
        let [happened, not] = [0, 0]
        for (let turns = 0; turns < 40; turns++) {
          const made = yield* trainer
          const fiber = yield* Effect.forkChild(made.step(batches[0]!, at(0)))
          for (let i = 0; i < turns; i++) yield* Effect.promise(() => Bun.sleep(0))
          yield* Fiber.interrupt(fiber)
          const tensors = yield* made.save
          const isAfter = Bun.deepEquals(tensors, after)
          expect(isAfter || Bun.deepEquals(tensors, before)).toBe(true)
          if (isAfter) happened++
          else not++
          // It is still of use.
          yield* made.load(before)
          yield* made.step(batches[0]!, at(0))
          expect(yield* made.save).toEqual(after)
        }
        expect(happened).toBeGreaterThan(0)
        expect(not + happened).toBe(40)
      }),
    )
  })
})

test("a step interrupted while it waits never starts", async () => {
  await Effect.runPromise(
    Effect.gen(function* () {
      const make = Train.make(graph, Policy.bptt, options)
      const [one, other] = [yield* make, yield* make]
      const expected = [yield* one.step(batches[0]!, at(0)), yield* one.step(batches[2]!, at(1))]
      const first = yield* Effect.forkChild(other.step(batches[0]!, at(0)))
      const second = yield* Effect.forkChild(other.step(batches[1]!, at(1)))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(second)
      const third = yield* Effect.forkChild(other.step(batches[2]!, at(1)))
      expect([yield* Fiber.join(first), yield* Fiber.join(third)]).toEqual(expected)
      expect(yield* other.save).toEqual(yield* one.save)
    }).pipe(Effect.scoped, Effect.provide(later)),
  )
})
