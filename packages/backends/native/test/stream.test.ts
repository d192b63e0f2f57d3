import { expect, test } from "bun:test"
import { ProgramFile } from "@spikeroute/backend-kernels"
import { load as loadModel } from "@spikeroute/backend-kernels/model"
import { adaptiveLif, add, delay, Graph, Key, leakyReadout, linear, recurrent, Train } from "@spikeroute/core"
import { Effect } from "effect"
import { engineOf } from "../src/engine.ts"
import { build, layer } from "../src/index.ts"
import { load } from "../src/library.ts"
import { unavailable } from "./configurations.ts"

const graph = Graph.makeUnsafe(
  [6],
  Graph.sequential(
    linear({ features: 20 }),
    adaptiveLif({ adaptationDecay: 0.8, strength: 0.2, threshold: 0.3 }),
    delay({ steps: 3 }),
    recurrent((x, fedBack) =>
      adaptiveLif({ threshold: 0.2 })(
        add(linear({ features: 33 })(x, "input"), linear({ features: 33, bias: false })(fedBack, "recurrent")),
      ),
    ),
    linear({ features: 3 }),
    leakyReadout(),
  ),
)
const tensors = new Map(
  [...Train.initialize(graph, Key.make(1))].map(([name, values]) => [
    name,
    { shape: graph.parameters.find((parameter) => parameter.name === name)!.shape, values },
  ]),
)
const [batchSize, steps] = [2, 40]
const inputs = Key.uniform(Key.make(2), new Float32Array(steps * batchSize * 6)).map((u) => 3 * u)

if (unavailable === undefined)
  test("streaming step by step is bit-identical to the batch, far beyond the program's own steps", async () => {
    const library = await load(await build())
    const options = { batchSize, timeSteps: steps, encoding: "frames" } as const
    const { outputs } = await Effect.runPromise(
      Effect.gen(function* () {
        const predictor = yield* Train.makePredictor(graph, options)
        yield* predictor.load(tensors)
        return yield* predictor.predict(inputs)
      }).pipe(Effect.scoped, Effect.provide(layer({ threads: 2 }))),
    )
    expect(new Set(outputs).size).toBe(outputs.length)
    for (const timeSteps of [1, steps]) {
      const file = await Effect.runPromise(ProgramFile.save(graph, tensors, { ...options, timeSteps }))
      const model = loadModel(engineOf(library, library.start(2), 64), file)
      for (let turn = 0; turn < 2; turn++) {
        const sum: Float32Array = new Float32Array(outputs.length)
        model.begin()
        for (let t = 0; t < steps; t++)
          for (const [i, value] of model.step(inputs.subarray(12 * t, 12 * (t + 1))).entries()) sum[i]! += value
        expect(sum).toEqual(outputs)
      }
    }
  })
