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

// A software adapter uses its own shaders where hardware would use barriers: run the hardware shaders too, with and without subgroups, on
// every third example.
describe.skipIf(!onSoftware).each([
  [
    "without",
    false,
    /^kernel (linear|conv2d|bias|batchNorm|elementwise|dropout.mask|spikes|loss|gain)|^normaliser-free, static, inference/,
  ],
  ["with", true, /^kernel (bias|batchNorm|elementwise.backward|spikes|loss|gain)|^normaliser-free, static, inference/],
] as const)("webgpu, hardware shaders, %s subgroups", (_, subgroups, some) => {
  const { layer } = shared({ software: false, subgroups })
  for (const { name, run } of Conformance.cases({ memory: "own", exampleStride: 3 }))
    if (some.test(name)) test(name, () => Effect.runPromise(run.pipe(Effect.provide(layer))), 120_000)
})
