import { describe, test } from "bun:test"
import { Effect } from "effect"
import { cases } from "./cases.ts"
import { onSoftware, shared, withoutGpu } from "./device.ts"

describe.skipIf(withoutGpu !== undefined)(`webgpu ${withoutGpu ?? ""}`, () => {
  const { layer, resources } = shared()
  for (const { name, run } of cases({ memory: "own", resources }, onSoftware))
    test(name, () => Effect.runPromise(run.pipe(Effect.provide(layer))), 120_000)
})
