import { afterAll, describe, test } from "bun:test"
import { Backend } from "@spikeroute/core"
import { Conformance } from "@spikeroute/core/testing"
import { Effect, Layer } from "effect"
import { engines } from "../src/engines.ts"
import { fromEngine } from "../src/index.ts"

for (const [name, load] of Object.entries(engines)) {
  const engine = await load({ threads: 2 })
  const layer = Layer.succeed(Backend, fromEngine(engine))
  const resources = Effect.sync(() => engine.tensors)
  afterAll(() => engine.close())

  describe(name, () => {
    for (const { name, run } of Conformance.cases({ memory: "own", resources }))
      test(name, () => Effect.runPromise(run.pipe(Effect.provide(layer))))
  })
}
