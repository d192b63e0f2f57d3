import { describe, test } from "bun:test"
import { Conformance } from "@spikeroute/core/testing"
import { isQuick } from "@spikeroute/test-support"
import { Effect } from "effect"
import { onSoftware, shared, withoutGpu } from "./device.ts"

describe.skipIf(withoutGpu !== undefined)(`webgpu ${withoutGpu ?? ""}`, () => {
  const { layer, resources } = shared()
  for (const { name, run } of Conformance.cases({ memory: "own", resources }))
    if (!onSoftware || isQuick(name)) test(name, () => Effect.runPromise(run.pipe(Effect.provide(layer))), 120_000)
})

// A GPU made of software has shaders of its own where barriers are: here it runs those of the others.
describe.skipIf(!onSoftware)("webgpu, shaders of hardware", () => {
  const { layer } = shared({ software: false })
  for (const { name, run } of Conformance.cases({ memory: "own" }))
    if (
      /^kernel (linear|conv2d|bias|batchNorm|neuron|dropout.mask|spikes|loss|gain)|^normaliser-free, static, inference/.test(
        name,
      )
    )
      test(name, () => Effect.runPromise(run.pipe(Effect.provide(layer))), 120_000)
})
