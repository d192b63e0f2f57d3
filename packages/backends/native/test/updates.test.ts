/** Updates with a fast path are bit-identical to their expressions. */
import { expect, test } from "bun:test"
import * as S from "@spikeroute/core"
import { Effect } from "effect"
import { layer } from "../src/index.ts"

/** The same update with its first state duplicated, so that no fast path recognises it. */
const interpreted = (optimizer: S.Optimizer.Optimizer): S.Optimizer.Optimizer => ({
  ...optimizer,
  states: [...optimizer.states, "copy"],
  update: (gradient) => {
    const { code, state, y } = optimizer.update(gradient)
    return { code, state: [...state, state[0] as number], y }
  },
})

const weightsAfter = (optimizer: S.Optimizer.Optimizer) =>
  Effect.runPromise(
    Effect.gen(function* () {
      const network = S.Graph.sequential(S.linear({ features: 37 }), S.lif(), S.linear({ features: 3 }))
      const graph = yield* S.Graph.make([29], network)
      const options = { batchSize: 4, timeSteps: 3, loss: S.defaultLoss, optimizer, key: S.Key.make(2) }
      const trainer = yield* S.Train.make(graph, S.Policy.sltt, options)
      const inputs = S.Key.uniform(S.Key.make(3), new Float32Array(4 * 29)).map((u) => 2 * u)
      for (let update = 1; update <= 4; update++)
        yield* trainer.step({ inputs, labels: Float32Array.of(0, 1, 2, 1) }, { update, learningRate: 0.01 })
      return [...(yield* trainer.save)].filter(([name]) => !name.includes("/copy/"))
    }).pipe(Effect.scoped, Effect.provide(layer({ threads: 2 }))),
  )

test.each([
  S.Optimizer.sgd({ momentum: 0.7 }),
  S.Optimizer.adam({ beta1: 0.8 }),
  S.Optimizer.adamw({ weightDecay: 0.1 }),
])("of $name", async (optimizer) => {
  expect(await weightsAfter(optimizer)).toEqual(await weightsAfter(interpreted(optimizer)))
})
