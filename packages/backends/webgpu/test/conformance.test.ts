import { describe } from "bun:test"
import { Conformance } from "@spikeroute/core/testing"
import { Effect } from "effect"
import { gpuTest, opened } from "./device.ts"

const { layer, resources } = await opened()

describe("webgpu", () => {
  for (const { name, run } of Conformance.cases({ memory: "own", resources }))
    gpuTest(name, () => Effect.runPromise(run.pipe(Effect.provide(layer))), 120_000)
})
