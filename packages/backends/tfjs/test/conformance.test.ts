import { afterAll, describe, test } from "bun:test"
import { Backend } from "@spikeroute/core"
import { Conformance } from "@spikeroute/core/testing"
import { Effect, Layer } from "effect"
import { fromEngine } from "../src/index.ts"
import { exampleStride, loadEngines, runs, withoutGpu } from "./engines.ts"

for (const engine of await loadEngines()) {
  const layer = Layer.succeed(Backend, fromEngine(engine))
  const resources = Effect.sync(() => engine.tensors)
  afterAll(() => engine.close())

  describe(engine.name, () => {
    const options = { memory: "own", resources, exampleStride: exampleStride(engine) } as const
    for (const { name, run } of Conformance.cases(options).filter(({ name }) => runs(engine, name)))
      test(name, () => Effect.runPromise(run.pipe(Effect.provide(layer))))
  })
}

test.skipIf(withoutGpu !== undefined)(`tfjs-webgpu runs here${withoutGpu ? `: ${withoutGpu}` : ""}`, () => {})
