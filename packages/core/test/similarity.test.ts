/** How near gradients are to each other, by hand; and a trainer's gradients without its update. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import { defaultLoss, dropout, Graph, Key, lif, linear, Optimizer, Policy, Train } from "../src/index.ts"
import { Conformance } from "../src/testing/index.ts"

test("of (0, 3) to (4, 3)", () => {
  const { cosine, normRatio, distance } = Train.similarity(Train.products(Float32Array.of(0, 3), Float32Array.of(4, 3)))
  expect([cosine, normRatio, distance]).toEqual([9 / 15, 3 / 5, 4 / 5])
})

test("of several tensors as one vector: (1, 0 | 2) to (1, 2 | −2)", () => {
  const parts = [
    Train.products(Float32Array.of(1, 0), Float32Array.of(1, 2)),
    Train.products(Float32Array.of(2), Float32Array.of(-2)),
  ]
  const { cosine, normRatio, distance } = Train.similarity(parts.reduce(Train.addProducts, Train.noProducts))
  expect(cosine).toBeCloseTo(-3 / Math.sqrt(5 * 9), 12)
  expect(normRatio).toBeCloseTo(Math.sqrt(5 / 9), 12)
  expect(distance).toBeCloseTo(Math.sqrt(20 / 9), 12)
})

test("to 0 is undefined, and 0 has no direction", () => {
  const zero = Float32Array.of(0, 0)
  expect(Train.similarity(Train.products(Float32Array.of(1, 0), zero))).toEqual({
    cosine: undefined,
    normRatio: undefined,
    distance: undefined,
  })
  expect(Train.similarity(Train.products(zero, Float32Array.of(1, 0)))).toEqual({
    cosine: undefined,
    normRatio: 0,
    distance: 1,
  })
})

test("differentiate leaves the weights unchanged, and draws the same as the step of that update", () => {
  const graph = Graph.makeUnsafe(
    [3],
    Graph.sequential(linear({ features: 6 }), lif({ tau: 2, threshold: 0.2 }), dropout(0.5), linear({ features: 2 })),
  )
  const batch = { inputs: Float32Array.of(1, 2, 3, 3, 2, 1), labels: Float32Array.of(0, 1) }
  Effect.runSync(
    Effect.gen(function* () {
      const trainer = yield* Train.make(graph, Policy.slttK(2), {
        ...{ batchSize: 2, timeSteps: 5, loss: defaultLoss, key: Key.make(3) },
        optimizer: Optimizer.sgd({ momentum: 0 }),
      })
      const before = yield* trainer.save
      const { gradients, loss } = yield* trainer.differentiate(batch, { update: 4 })
      expect(yield* trainer.save).toEqual(before)
      const stepped = yield* trainer.step(batch, { update: 4, learningRate: 0.5 })
      expect(stepped.loss).toBe(loss)
      const after = yield* trainer.save
      for (const [name, gradient] of gradients) {
        const [from, to] = [before, after].map((all) => all.get(name)!.values)
        expect([...to!]).toEqual([...from!].map((w, i) => Math.fround(w - 0.5 * gradient[i]!)))
      }
      expect([...gradients.keys()]).toEqual(["0.weight", "0.bias", "3.weight", "3.bias"])
      const other = yield* trainer.differentiate(batch, { update: 5 })
      expect(other.gradients).not.toEqual(gradients)
    }).pipe(Effect.scoped, Effect.provide(Conformance.oracle())),
  )
})
