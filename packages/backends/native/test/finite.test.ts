/** The check of gradients finds a value that is not finite wherever it is: in a vector, behind the last whole one, in any thread's piece. */
import { describe, expect, test } from "bun:test"
import * as S from "@spikeroute/core"
import { Effect } from "effect"
import { configurations } from "./configurations.ts"

const inputs = 1_001
const features = 37
const last = inputs * features - 1

for (const { name, run } of configurations())
  describe(name, () => {
    test("gradients are finite until one value is not", () =>
      run(
        Effect.gen(function* () {
          const graph = yield* S.Graph.make([inputs], S.linear({ features, bias: false }))
          const options = { ...{ batchSize: 2, timeSteps: 1, loss: S.defaultLoss }, key: S.Key.make(1) }
          const trainer = yield* S.Train.make(graph, S.Policy.sltt, { ...options, optimizer: S.Optimizer.sgd() })
          const { executable, program } = trainer
          const gradient = program.buffers.find(({ kind }) => kind === "gradient")?.name as string
          const values = new Float32Array(inputs * features).fill(3.4e38)
          yield* executable.write(gradient, values)
          expect(yield* executable.gradientsAreFinite).toBe(true)
          for (const at of [0, 17, 2 ** 14 - 1, 2 ** 14, last - 3, last])
            for (const value of [Number.NaN, Number.NEGATIVE_INFINITY]) {
              yield* executable.write(gradient, values.with(at, value))
              expect({ at, value, finite: yield* executable.gradientsAreFinite }).toEqual({ at, value, finite: false })
            }
        }).pipe(Effect.scoped),
      ))
  })
