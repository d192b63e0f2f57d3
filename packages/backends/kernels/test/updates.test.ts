/** Which optimiser updates have a fast path. */
import { expect, test } from "bun:test"
import { defaultLoss, Graph, linear, Optimizer, Policy, Program } from "@spikeroute/core"
import { Effect } from "effect"
import { updatePathOf } from "../src/updates.ts"

const pathOf = (optimizer: Optimizer.Optimizer) => {
  const graph = Graph.makeUnsafe([4], linear({ features: 5, bias: false }))
  const options = { batchSize: 2, timeSteps: 3, loss: defaultLoss, optimizer }
  const [update] = Effect.runSync(Program.compile(graph, Policy.sltt, options)).segments.update
  return updatePathOf(update as Program.Instruction)
}

const float = (value: number) => ({ float: Math.fround(value) })

test("SGD, Adam and AdamW, with their constants", () => {
  expect(pathOf(Optimizer.sgd({ momentum: 0.8 }))).toEqual({ kernel: "sgd", attributes: [float(0.8)] })
  const moments = [float(0.9), float(0.1), float(0.999), float(1 - 0.999), float(1e-8)]
  expect(pathOf(Optimizer.adam())).toEqual({ kernel: "adam", attributes: [...moments, 0] })
  expect(pathOf(Optimizer.adamw())).toEqual({ kernel: "adam", attributes: [...moments, 1] })
})

test("others are interpreted", () => {
  for (const optimizer of [Optimizer.lion(), Optimizer.sgd({ weightDecay: 0.1 }), Optimizer.adam({ weightDecay: 0.1 })])
    expect(pathOf(optimizer)).toBeUndefined()
})
