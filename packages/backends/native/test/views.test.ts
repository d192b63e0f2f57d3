/** Views of native memory, and what happens if one is transferred. */
import { expect, test } from "bun:test"
import { defaultLoss, Graph, Key, linear, Optimizer, Policy, Program, Train } from "@spikeroute/core"
import { Effect, Exit } from "effect"
import { layer } from "../src/index.ts"
import { Views } from "../src/views.ts"
import { unavailable } from "./configurations.ts"

test("views are detached; a transferred one keeps the memory alive", () => {
  const views = new Views((_, bytes) => new ArrayBuffer(bytes))
  const [one, other] = [views.words(0, 4), views.words(16, 2)]
  expect(views.detach()).toBe(true)
  expect([one.length, other.length]).toEqual([0, 0])
  const lent = views.words(0, 4)
  const kept = views.words(16, 2)
  const moved = (lent.buffer as ArrayBuffer).transfer()
  expect(views.detach()).toBe(false)
  expect([moved.byteLength, kept.length]).toEqual([16, 0])
})

if (unavailable === undefined)
  test("an array that a `write` callback transfers is refused, and remains valid after the scope", async () => {
    let moved: ArrayBuffer | undefined
    const options = {
      batchSize: 1,
      timeSteps: 1,
      loss: defaultLoss,
      optimizer: Optimizer.sgd(),
      key: Key.make(1),
    }
    const exit = await Effect.gen(function* () {
      const graph = yield* Graph.make([3], linear({ features: 2 }))
      const { executable } = yield* Train.make(graph, Policy.sltt, options)
      const name = Program.bufferNames.parameter("linear1.weight")
      return yield* executable.write(name, (out) => {
        moved = (out.fill(2).buffer as ArrayBuffer).transfer()
      })
    }).pipe(Effect.scoped, Effect.provide(layer({ threads: 1 })), Effect.runPromiseExit)
    expect(exit).toEqual(Exit.fail(expect.objectContaining({ _tag: "BackendError" })))
    expect([...new Float32Array(moved as ArrayBuffer)]).toEqual([2, 2, 2, 2, 2, 2])
  })
