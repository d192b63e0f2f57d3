/** The same key gives the same bits, stopped and resumed or not. */
import { expect, test } from "bun:test"
import { isDeepStrictEqual } from "node:util"
import { Effect } from "effect"
import * as fc from "fast-check"
import { Key, Optimizer, Safetensors, Train } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { expectSameBits, expectSameForward, runs, sync, train } from "./harness.ts"

/** Trains from update `from` to update `to`, from saved tensors where there are any, on a new batch for each update. */
const advance = (
  workload: Arbitrary.Workload,
  choice: Arbitrary.Choice,
  optimizer: Optimizer.Optimizer,
  [from, to]: readonly [number, number],
  saved?: Train.Tensors,
) =>
  sync(
    Effect.gen(function* () {
      const graph = Arbitrary.graphOf(workload)
      const policy = Arbitrary.policyOf(choice, workload)
      const options = { ...Arbitrary.optionsOf(workload), optimizer, key: Key.make(workload.seed) }
      const trainer = yield* Train.make(graph, policy, options)
      if (saved) yield* trainer.load(saved)
      const results: Array<Train.BatchResult> = []
      for (let update = from; update <= to; update++) {
        const batch = Arbitrary.batchOf(graph, { ...workload, seed: workload.seed + update })
        results.push(yield* trainer.step(batch, { update, learningRate: 0.05 / update }))
      }
      return { results, tensors: yield* trainer.save }
    }),
  )

const values = (tensors: Train.Tensors): ReadonlyMap<string, Float32Array> =>
  new Map([...tensors].map(([name, tensor]) => [name, tensor.values]))

const optimizer = () =>
  fc
    .record({ name: fc.constantFrom(...Optimizer.optimizerNames), weightDecay: fc.constantFrom(0, 0.01) })
    .map(({ name, weightDecay }) => Optimizer.optimizers[name]({ weightDecay }))

test("the same key is bit-identical, another key differs", () => {
  let differed = 0
  fc.assert(
    fc.property(Arbitrary.workload(), Arbitrary.policy(), optimizer(), (workload, choice, optimizer) => {
      const first = train(workload, Arbitrary.policyOf(choice, workload))
      const second = train(workload, Arbitrary.policyOf(choice, workload))
      expectSameBits(second.gradients, first.gradients)
      expectSameForward(second, first)
      const trained = advance(workload, choice, optimizer, [1, 2])
      expect(advance(workload, choice, optimizer, [1, 2])).toEqual(trained)
      const other = advance({ ...workload, seed: workload.seed + 7 }, choice, optimizer, [1, 2])
      if (!isDeepStrictEqual(other, trained)) differed++
    }),
    runs(100),
  )
  expect(differed).toBeGreaterThan(90)
}, 60_000)

test("training saved to a file and resumed is bit-identical", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), Arbitrary.policy(), optimizer(), (workload, choice, optimizer) => {
      const whole = advance(workload, choice, optimizer, [1, 4])
      const half = advance(workload, choice, optimizer, [1, 2])
      const file = Safetensors.encode({ tensors: half.tensors, metadata: { update: "2" } })
      const { tensors } = Effect.runSync(Safetensors.decode(file, "half"))
      const rest = advance(workload, choice, optimizer, [3, 4], tensors)
      expect([...half.results, ...rest.results]).toEqual([...whole.results])
      expectSameBits(values(rest.tensors), values(whole.tensors))
    }),
    runs(100),
  )
}, 60_000)
