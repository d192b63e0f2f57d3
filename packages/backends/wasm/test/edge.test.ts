/** Training within the memory of an edge function's isolate. */
import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { type BackendError, defaultLoss, Graph, Key, Models, Optimizer, Policy, Train } from "@spikeroute/core"
import { Effect } from "effect"
import { fromModule } from "../src/edge.ts"

const kernels = new WebAssembly.Module(readFileSync(new URL("../built/spikeroute.wasm", import.meta.url)))
const graph = Graph.makeUnsafe([28, 28, 1], Models.conv(10))
const batchSize = 32

const trainOnce = (policy: Policy.Policy, timeSteps: number) =>
  Effect.gen(function* () {
    const trainer = yield* Train.make(graph, policy, {
      batchSize,
      timeSteps,
      loss: defaultLoss,
      optimizer: Optimizer.adam(),
      key: Key.make(0),
    })
    const inputs = Key.uniform(Key.make(1), new Float32Array(batchSize * 28 * 28))
    const labels = Float32Array.from({ length: batchSize }, (_, n) => n % 10)
    return yield* trainer.step({ inputs, labels }, { update: 1, learningRate: 1e-3 })
  }).pipe(Effect.scoped, Effect.provide(fromModule(kernels, { maximumBytes: 2 ** 26 })), Effect.runPromise)

test("SLTT trains conv at T = 32 in 64 MiB, where BPTT is refused for lack of memory", async () => {
  const { loss } = await trainOnce(Policy.sltt, 32)
  expect(loss).toBeGreaterThan(0)
  const refused = (await trainOnce(Policy.bptt, 32).catch((error: unknown) => error)) as BackendError
  expect(refused._tag).toBe("BackendError")
  expect(refused.memory?.needed).toBeGreaterThan(2 ** 27)
  // 64 MiB minus the module's own stack and data.
  expect(Math.round((refused.memory?.available ?? 0) / 2 ** 20)).toBe(64)
  expect((await trainOnce(Policy.bptt, 2)).loss).toBeGreaterThan(0)
}, 60_000)
